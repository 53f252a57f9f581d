/**
 * Who is in flight. A plain array with reused places in place of a Set: a Set that members enter and leave all the time is rebuilt
 * again and again, and V8's old tables keep their dead members alive into the old generation, which doubled the cost of a request.
 */
export class Roster<T extends object> {
  readonly #places: (T | null)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#places.length - this.#free.length;
  }

  /** The answer is the place to give to {@link leave}. */
  enter(member: T): number {
    const place = this.#free.pop() ?? this.#places.length;
    this.#places[place] = member;
    return place;
  }

  leave(place: number): void {
    if (this.#places[place] === null) return;
    this.#places[place] = null;
    this.#free.push(place);
  }

  /** Calls for everyone there now; members may leave meanwhile. */
  forEach(call: (member: T) => void): void {
    for (const member of [...this.#places]) if (member !== null) call(member);
  }
}
