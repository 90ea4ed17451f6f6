/**
 * Every bound in one place, with its arithmetic. Lengths that come from outside are compared with these before memory
 * is taken.
 */

export interface Limits {
  /** Compressed request bodies. Prometheus sends <= 2,000 samples a request (~100 KiB); vmagent up to 8 MiB. */
  bodyBytesMax: number
  /** What a compressed body may unfold to. 10 k series × 260 B × 12. */
  decodedBytesMax: number
  /** A form, packed and unpacked. The longest query is 64 KiB; 1 MiB leaves room for many matchers. */
  formBytesMax: number
  labelsPerSeriesMax: number
  labelNameBytesMax: number
  labelValueBytesMax: number
  /** Series in memory, per tenant. 1 M series with 10 labels is about 0.5 GiB. */
  activeSeriesMax: number
  /** Samples that one query may hold in memory at a time; 50 M × 16 B = 800 MB, Prometheus' own default. */
  querySamplesMax: number
  /** Steps of one range query, as in Prometheus. */
  queryStepsMax: number
  queryTimeoutMs: number
  queryConcurrencyMax: number
  /** How far into the future a sample may lie. */
  futureMs: number
  /** Exemplars kept, a tenant; about 200 B each. */
  exemplarsMax: number
  /** Metrics whose metadata is kept, a tenant; about 200 B each. */
  metadataMax: number
  /** Log lines: as Loki's defaults. */
  logLineBytesMax: number
  logLabelsMax: number
  logStreamsMax: number
  logMetadataPairsMax: number
  logMetadataBytesMax: number
  logMaxAgeMs: number
  logQuerySeriesMax: number
  logQueryEntriesMax: number
  logQueryLengthMaxMs: number
}

export const defaultLimits: Limits = {
  bodyBytesMax: 32 * 1024 * 1024,
  decodedBytesMax: 128 * 1024 * 1024,
  formBytesMax: 1024 * 1024,
  labelsPerSeriesMax: 64,
  labelNameBytesMax: 1024,
  labelValueBytesMax: 4096,
  activeSeriesMax: 5_000_000,
  querySamplesMax: 50_000_000,
  queryStepsMax: 11_000,
  queryTimeoutMs: 120_000,
  queryConcurrencyMax: 20,
  futureMs: 600_000,
  exemplarsMax: 100_000,
  metadataMax: 100_000,
  logLineBytesMax: 256 * 1024,
  logLabelsMax: 15,
  logStreamsMax: 5000,
  logMetadataPairsMax: 128,
  logMetadataBytesMax: 64 * 1024,
  logMaxAgeMs: 7 * 86_400_000,
  logQuerySeriesMax: 500,
  logQueryEntriesMax: 5000,
  logQueryLengthMaxMs: 721 * 3_600_000,
}
