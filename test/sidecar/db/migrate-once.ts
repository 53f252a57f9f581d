/** Migrates the database given and prints what ran: one of several starters. */
import { migrate } from "../../../sidecar/db/migrate.js";
import { openForWriting } from "../../../sidecar/db/open.js";

const db = openForWriting(process.argv[2]!);
process.stdout.write(JSON.stringify(migrate(db)));
db.close();
