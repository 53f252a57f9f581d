/** However many watch, and however much a look costs, most of the time belongs to everybody else. */
import t from "tap";
import { PlaceRounds, POSITION_MS } from "../../../sidecar/api/place-rounds.js";
import { VirtualClock } from "../../simulation/virtual-clock.js";

/** A clock whose looks take time. */
class BusyClock extends VirtualClock {
  busyMs = 0;
  override elapsed(): number {
    return super.elapsed() + this.busyMs;
  }
  soon(): void {}
  async sleep(): Promise<void> {}
}

t.test("few watchers are looked at every two seconds, and not once they have gone", (t) => {
  const clock = new BusyClock();
  const rounds = new PlaceRounds(clock);
  let looks = 0;
  const end = rounds.add(() => {
    looks += 1;
  });
  clock.run(10_500, () => false);
  t.ok(looks >= 4 && looks <= 5, `${looks} looks`);
  end();
  clock.run(10 * POSITION_MS, () => false);
  t.ok(looks <= 5);
  t.end();
});

t.test("1,000 watchers of places that cost 8 ms each take a small share, and each has its turn", (t) => {
  const clock = new BusyClock();
  const rounds = new PlaceRounds(clock);
  const looks = new Array<number>(1_000).fill(0);
  for (const each of looks.keys()) {
    rounds.add(() => {
      looks[each]! += 1;
      clock.busyMs += 8;
    });
  }
  clock.run(300_000, () => false);
  t.ok(clock.busyMs < 300_000 * 0.12, `${clock.busyMs} ms of 300,000`);
  t.ok(Math.min(...looks) >= 2, "nobody is left out");
  t.ok(Math.max(...looks) - Math.min(...looks) <= 1, "nobody is looked at more often than the others");
  t.end();
});
