/** Counters in Prometheus' text format. Labels are routes, methods and status classes only, so their number is bounded. */
export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #counters = { cms_doc_annotations_total: 0, cms_bulk_processed_docs_total: 0 };

  countRequest(handler: string, method: string, status: number): void {
    const labels = `handler="${handler}",method="${method}",status="${Math.floor(status / 100)}xx"`;
    this.#requests.set(labels, (this.#requests.get(labels) ?? 0) + 1);
  }

  countAnnotations(count: number): void {
    this.#counters.cms_doc_annotations_total += count;
  }

  countBulkDocuments(count: number): void {
    this.#counters.cms_bulk_processed_docs_total += count;
  }

  write(): string {
    const lines = [
      "# HELP http_requests_total Requests by handler, method and status.",
      "# TYPE http_requests_total counter",
    ];
    for (const [labels, count] of this.#requests) lines.push(`http_requests_total{${labels}} ${count}`);
    for (const [name, count] of Object.entries(this.#counters))
      lines.push(`# TYPE ${name} counter`, `${name} ${count}`);
    lines.push(
      "# TYPE process_resident_memory_bytes gauge",
      `process_resident_memory_bytes ${process.memoryUsage.rss()}`,
    );
    return `${lines.join("\n")}\n`;
  }
}
