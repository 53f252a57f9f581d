/** A process that takes permits and keeps them: `node limiter-holder.js <redis url> <number>`. Says so in one line of JSON. */
import { call, join } from "./limiter-load.js";

const [url, count] = [process.argv[2]!, Number(process.argv[3])];
const { permits } = join({ teardown() {} }, url);
for (let each = 0; each < count; each++) await permits.request(call());
console.log(JSON.stringify({ held: count }));
setInterval(() => undefined, 60_000);
