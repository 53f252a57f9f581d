/** The index of the first of these that is not below a value. Pure. @param sorted ascending by what `keyOf` says */
export function firstNotBelow<Item>(sorted: readonly Item[], value: number, keyOf: (item: Item) => number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keyOf(sorted[middle]!) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
