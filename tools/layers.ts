const floors = [
  'core',
  'codec',
  'model',
  'lang',
  'wire',
  'net',
  'bucket',
  'store',
  'metrics',
  'logs',
  'traces',
  'query',
]
/** What the parts of a process are made of. */
const parts = [...floors, 'auth', 'ingest', 'scrape', 'forward', 'alert', 'api', 'worker']

export const signals = ['metrics', 'logs', 'traces']

/** What each folder of src/ may import. A folder may always import itself. Read top to bottom: ground floor first. */
export const mayImport: Record<string, readonly string[]> = {
  core: [],
  codec: ['core'],
  model: ['core'],
  lang: ['core'],
  wire: ['core', 'codec', 'model'],
  net: ['core', 'codec'],
  auth: ['core', 'lang', 'net'],
  bucket: ['core', 'net'],
  store: ['core', 'codec', 'bucket'],
  metrics: ['core', 'codec', 'model', 'lang', 'bucket', 'store'],
  logs: ['core', 'codec', 'model', 'lang', 'bucket', 'store'],
  traces: ['core', 'codec', 'model', 'lang', 'bucket', 'store'],
  query: ['core', 'codec', 'model', 'lang', 'metrics', 'logs', 'traces'],
  ingest: ['core', 'model', 'wire', 'net', 'metrics', 'logs', 'traces'],
  scrape: ['core', 'model', 'lang', 'wire', 'net', 'metrics'],
  forward: ['core', 'codec', 'model', 'lang', 'wire', 'net', 'metrics'],
  alert: ['core', 'model', 'lang', 'net', 'query', 'metrics'],
  api: ['core', 'model', 'lang', 'wire', 'net', 'query', 'metrics', 'logs', 'traces', 'alert'],
  worker: ['core', 'codec', 'model', 'lang', 'wire', 'net', 'bucket', 'store', 'query', 'api', 'alert', ...signals],
  deploy: ['core', 'lang'],
  demo: ['core'],
  app: parts,
  // What people import into programs of theirs: a Tercet in their own process, and what it can be asked.
  library: ['core', 'net', 'bucket', 'store', 'app'],
  // Expectations about telemetry, for tests of people's own programs.
  testing: ['core', 'codec', 'model', 'wire', 'library', 'gate'],
  // Findings between the telemetry of two runs.
  gate: ['core', 'lang', 'library'],
  // What an operator does needs the configuration and the buckets of a process, which `app` makes; nothing of `app`
  // imports them but main.ts, which loads the command line when it is run.
  ops: ['*'],
  cli: ['core', 'auth', 'bucket', 'deploy', 'app', 'library', 'gate', 'ops'],
}

/**
 * The folders that put whole signals together, or look at them from outside: the doors of a signal are not for them.
 */
export const insiders: readonly string[] = ['app', 'ops', 'worker']

/** The doors of a signal folder: the only files of it that another folder may import. `insiders` may use any. */
export const doors: Record<string, readonly string[]> = {
  'append.ts': ['ingest', 'scrape', 'alert', 'forward'],
  'scoped-reader.ts': ['api'],
  'select.ts': ['query', 'api'],
}

/** Files every signal folder has, so that the three engines read alike. */
export const stages = [
  'append.ts',
  'batch-appender.ts',
  'wal-record.ts',
  'replay.ts',
  'head.ts',
  'block-writer.ts',
  'block-reader.ts',
  'merge.ts',
  'block-life.ts',
  'reader.ts',
  'select.ts',
  'engine.ts',
  'README.md',
]

/** Words that only some places may use, and what to use instead. */
export const banned: readonly (readonly [word: RegExp, instead: string, allowedIn: RegExp])[] = [
  [/\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/, 'the Clock that was handed in', /^src\/core\/clock\.ts$/],
  [/\bMath\.random\(|\brandomUUID\(|\brandomBytes\(/, 'the Random that was handed in', /^src\/core\/random\.ts$/],
  [
    /\bsetTimeout\(|\bsetInterval\(|\bsetImmediate\(/,
    'the Clock that was handed in',
    /^src\/core\/(virtual-)?clock\.ts$/,
  ],
  [
    /from 'node:fs(\/promises)?'/,
    'the Files that were handed in',
    /^src\/(core|bucket|app|ops|cli)\/|^src\/codec\/kernel\.ts$/,
  ],
  [/\bnew RegExp\(/, 'lang/regex (linear time)', /^$/],
  [/^export \* /m, 'import the file you need', /^$/],
  [/^export default /m, 'a named export', /^$/],
  [/^\s*(export )?(const )?enum \w+ \{|^\s*(export )?namespace \w+ \{/m, 'an `as const` table', /^$/],
  [/: any\b|<any>|\bas any\b/, 'a type', /^$/],
  [/\bFIXME\b|\bTODO\b|\bXXX\b/, 'fix it before it lands', /^$/],
]
