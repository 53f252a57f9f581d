/** What the upstream answers, so that the generator can tell a whole answer from a damaged one. */
export const SMALL_ANSWER = Buffer.from(
  JSON.stringify({
    text: "Seen on 3 March 2021.",
    annotations: [{ start: 8, end: 20, label_name: "date", label_id: "DATE", accuracy: 1 }],
  }),
);
