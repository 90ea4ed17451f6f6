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
  /** Queries of all languages that run at a time, as in Prometheus. */
  queryConcurrencyMax: number
  /** Queries that wait for others to end; each is a request of some KiB. */
  queryQueueMax: number
  /**
   * Tenants of a signal that sent something within the last hour, or have something in memory. 70 KiB each of metrics
   * with a series or two, less of logs and traces: 2,000 are 140 MiB.
   */
  tenantsMax: number
  /** Live tails, each with its own buffer. */
  tailsMax: number
  /** Bytes of lines that wait for one tail; 64 lines of the largest size. */
  tailBytesMax: number
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
  queryQueueMax: 200,
  tenantsMax: 2000,
  tailsMax: 10,
  tailBytesMax: 16 * 1024 * 1024,
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

/** Tenants that have series of their own in /metrics, a signal: ten series each. The others are one together. */
export const tenantLabelsMax = 100

/** What an Alertmanager holds. */
export interface AlertLimits {
  alertsMax: number
  /** Those that ended count for as long as they are kept. */
  silencesMax: number
  /** Of one alert. */
  labelCharactersMax: number
  /** Labels, annotations and URL of one alert, and of all. */
  alertCharactersMax: number
  allAlertsCharactersMax: number
  /** Groups of rules of one tenant that are set through an API. */
  ruleGroupsMax: number
  /** One such group as it is sent, and all. */
  ruleGroupCharactersMax: number
  allRulesCharactersMax: number
}

const mebibyte = 1024 ** 2

/**
 * Lists, groups and notifications go through all alerts, and each alert is compared with each silence once: 10,000
 * times 5,000 comparisons of 50 ns take 3 s, in pieces. Texts are held once, and printed: 64 MiB.
 */
export const defaultAlertLimits: AlertLimits = {
  alertsMax: 10_000,
  silencesMax: 5000,
  labelCharactersMax: 16 * 1024,
  alertCharactersMax: 256 * 1024,
  allAlertsCharactersMax: 64 * mebibyte,
  ruleGroupsMax: 1000,
  // Read on the main thread, in some 100 ms; people's groups have some KiB.
  ruleGroupCharactersMax: 128 * 1024,
  allRulesCharactersMax: 16 * mebibyte,
}

/** Matchers of one silence, and characters of one with its comment: some KiB is what people write. */
export const silenceLimits = { matchersMax: 100, charactersMax: 32 * 1024 } as const

/**
 * What a process takes that holds no data: the program, its compiled code, the heap that V8 keeps free, buffers of
 * sockets. Idle roles were measured at 150 to 165 MiB.
 */
const processBytes = 160 * mebibyte

/** What the program of a worker takes, before it does anything: 35 MiB were measured. */
const workerProgramBytes = 35 * mebibyte

/** Threads that build blocks and decode bodies, beside those for queries. */
const otherThreads = 2

/**
 * Bytes that the accounts of a process may hold in a container of so many bytes, with so many threads for queries (0:
 * no workers). A quarter stays free for what nobody counts: garbage of the main thread that is not collected yet, and
 * what a decoder or a query makes between two of its counts. The smallest containers get a quarter, whatever the
 * program takes.
 */
export function memoryBudgetBytes(limitBytes: number, queryThreads: number): number {
  const threads = queryThreads === 0 ? 0 : queryThreads + otherThreads
  const workersBytes = Math.min(threads * workerProgramBytes, limitBytes / 8)
  return Math.floor(Math.max(limitBytes / 4, (limitBytes - processBytes - workersBytes) * 0.75))
}

/**
 * What workers may hold beside their programs, as a part of the account in which it is counted, by what they do.
 * Queries leave some of theirs to those that the main thread answers.
 */
export const workerShares = {
  queries: { account: 'queries', part: 0.8 },
  builders: { account: 'other', part: 0.65 },
  decoders: { account: 'other', part: 0.35 },
} as const satisfies Readonly<Record<string, { account: keyof MemoryShares; part: number }>>

/**
 * The old generation of V8's heap in such a container, as V8 itself chooses where nobody says otherwise: half, and no
 * more than 4 GiB. What lies in buffers (heads, caches, bodies, chunks) is not in it.
 */
export function heapBytesMax(limitBytes: number): number {
  return Math.floor(Math.min(limitBytes / 2, 4096 * mebibyte))
}

/** Part of the budget that each account may hold at most. */
export type MemoryShares = Readonly<
  Record<'heads' | 'caches' | 'bodies' | 'queries' | 'answers' | 'tails' | 'other', number>
>

/**
 * The shares are more than one together, since they are never all used at once; the sum of all accounts has its own
 * limit. No account alone can leave nothing for the others. In 3 GiB with one thread for queries the budget is 2.1 GiB:
 * heads 1 GiB (1.9 M series), bodies 0.4 GiB (3 of 128 MiB), queries 0.9 GiB (0.7 GiB in workers, 50 M samples),
 * answers 0.2 GiB (10 M points), tails 80 MiB; blocks are built in 0.7 GiB, bodies decoded in 0.4 GiB (`other`).
 */
export const memoryShares: MemoryShares = {
  heads: 0.5,
  caches: 0.25,
  bodies: 0.2,
  queries: 0.45,
  answers: 0.11,
  tails: 0.04,
  other: 0.5,
}

/**
 * Bytes that one query holds beside samples: lines, rows, groups, spans, and the text of an answer. 600,000 lines of
 * 500
 * bytes are 300 MB as text of one byte a character.
 */
export const queryBytesMax: number = 1024 * 1024 * 1024

/** Texts of queries in all four languages, and the trees that are made of them. */
export const queryTextLimits = {
  /** Characters of one query: a selector of 10,000 pods with 64 characters each is 640 kB. */
  charactersMax: 1024 * 1024,
  /** Words and signs of one query: 100,000 take 30 ms to read, and 100 B each. */
  tokensMax: 100_000,
  /** Levels of parentheses, calls and queries within queries: each takes up to 12 frames of ~200 B when it is read. */
  depthMax: 250,
  /**
   * Operators that join two sides. A chain of operators leans to the left: its tree is as deep as it is long, and
   * evaluating it takes 4 frames of ~100 B a level, 400 kB of a stack of 984 kB at the limit.
   */
  operatorsMax: 1000,
  /** Filters, conditions and stages: lists, which are no deeper for being longer, but cost at every row. */
  partsMax: 10_000,
} as const

/** Regular expressions of queries, rules, relabelling and silences. */
export const regexLimits = {
  /** Characters of one expression that is no list of plain texts (those are tested by a set and may be longer). */
  charactersMax: 64 * 1024,
  /**
   * Instructions of the program, counted repetition written out: compiling takes ~10 µs for each, 0.2 s at the limit.
   */
  instructionsMax: 20_000,
  /** The same over all expressions of one query. */
  queryInstructionsMax: 50_000,
  depthMax: 250,
} as const

/** Go templates: of log lines, of rules, of notifications. */
export const templateLimits = {
  /** Characters that one run prints, and of one value that it makes: four times the longest log line. */
  charactersMax: 1024 * 1024,
  /** Actions, iterations, calls and each 256 characters that calls read or make, in one run: 5 to 10 ms. */
  stepsMax: 100_000,
  /** The same over all lines of a query: about 10 s of one core. */
  queryStepsMax: 100_000_000,
  /** Characters that all lines of a query print. */
  queryCharactersMax: 2 ** 32,
  /** Levels of blocks and parentheses in the text of a template. */
  depthMax: 100,
  /** Levels of blocks that run, those of templates that call each other included: 6 frames of ~150 B each. */
  runDepthMax: 500,
} as const

/**
 * Bodies that unfold to more than this are decoded by a worker: 1 MiB takes 2 to 20 ms, by its format. Prometheus sends
 * 100 to 300 KiB, Grafana's agents up to 1 MiB of lines; sending a body there and back costs less than a millisecond.
 */
export const decodedHereBytesMax: number = 1024 * 1024

/**
 * Syslog messages that wait to be stored, a message counted with 200 B for what it becomes: beyond this nothing is read
 * from connections, and datagrams are dropped. 100,000 messages of 160 B are 36 MB, twice that in memory.
 */
export const syslogWaitingBytesMax: number = 32 * 1024 * 1024

/**
 * How many elements a body may hold, by what they become: `always`, and one more for every `bytesEach` bytes, but never
 * more than `most`. A body of the smallest real elements has fewer; one of empty elements has more, and would take
 * hundreds of times its size in memory. Together they hold a body to about 16 times its bytes, and to some hundred MiB.
 */
export const bodyElements = {
  /**
   * Records, points, spans, alerts and documents that become objects: 250 to 640 B each. The smallest real ones have 40
   * bytes. 16,384 × 640 B = 10 MiB; 250,000 × 640 B = 160 MB. Collectors send 8,192 in a request.
   */
  items: { always: 16_384, bytesEach: 32, most: 250_000 },
  /**
   * Lists, objects and messages within them, 60 to 130 B each; texts and numbers count a quarter. The smallest real
   * attribute has 35 bytes and counts 2.5. 65,536 × 100 B = 6.5 MB; 1,000,000 × 100 B = 100 MB. A request of 8,192
   * records with 15 attributes each has 350,000.
   */
  parts: { always: 65_536, bytesEach: 8, most: 1_000_000 },
  /**
   * Entries of columns: 28 to 42 B each, twice that while a column grows. The smallest real sample has 9 bytes.
   * 4,000,000 × 84 B = 336 MB outside the heap. Prometheus sends 2,000 samples in a request, vmagent 10,000.
   */
  rows: { always: 65_536, bytesEach: 8, most: 4_000_000 },
} as const satisfies Readonly<Record<string, { always: number; bytesEach: number; most: number }>>

/**
 * Bytes that the label sets of a body may take when each is written out: senders name a label once and refer to it
 * often. 64 times the body, where 10 labels of 200 B are spelled by 40 bytes of references, and 1 MiB always.
 */
export const expandedBytes = { always: 1 << 20, times: 64, most: 256 << 20 } as const

/** Attributes that all records of a body have together, those of their resource counted for each: 16 to 64 B each. */
export const attributesMax = 2_000_000

/** How deep JSON may be nested: an attribute that is nested 100 deep in OTLP's JSON is 400 lists and objects deep. */
export const bodyDepthMax = 512
