/** Stores that are silent, refuse, reset, cut and lose: what a bucket over them does, and a whole process on them. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { after, suite, test } from 'node:test'
import { BucketError } from '#bucket/bucket.ts'
import { bucketSuite } from '#bucket/bucket-suite.ts'
import { openS3, type S3Bucket } from '#bucket/s3.ts'
import { systemClock, type Clock } from '#core/clock.ts'
import { NotFoundError } from '#core/errors.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { runCommand } from '../run-cli.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import { S3Server, type S3Request, type Trouble } from '../s3-server.ts'
import { until, untilTrue } from '../until.ts'
import { postWrite, writeBody } from '../write-request.ts'

const openBucket = (store: S3Server, clock: Clock = systemClock): Promise<S3Bucket> =>
  openS3({
    endpoint: store.endpoint,
    region: 'us-east-1',
    bucket: 'b',
    credentials: { isChanging: false, read: () => Promise.resolve({ accessKeyId: 'a', secretAccessKey: 's' }) },
    pathStyle: true,
    clock,
  })

async function withStore(work: (store: S3Server) => Promise<void>): Promise<void> {
  const store = await S3Server.open()
  try {
    await work(store)
  } finally {
    await store.close()
  }
}

const suiteStore = await S3Server.open()
after(() => suiteStore.close())
bucketSuite('s3 of the tests', () => openBucket(suiteStore), 1000)

/** Lets virtual time pass until the promise is settled; how much passed. */
async function passing(clock: VirtualClock, promise: Promise<unknown>): Promise<{ ms: number; error: unknown }> {
  const startMs = clock.monotonicMs()
  let outcome: { error: unknown } | undefined
  promise.then(
    () => (outcome = { error: undefined }),
    (error: unknown) => (outcome = { error }),
  )
  await until(async () => {
    await clock.advance(500)
    return outcome
  }, 'it is settled')
  return { ms: clock.monotonicMs() - startMs, error: outcome!.error }
}

const bytes = Buffer.from('hello world')
const requests: [
  name: string,
  work: (bucket: S3Bucket) => Promise<unknown>,
  operation: 'put' | 'get' | 'head' | 'list' | 'delete',
][] = [
  ['put', b => b.put('k', bytes), 'put'],
  ['conditional put', b => b.put('k', bytes, { ifAbsent: true }), 'put'],
  ['get', b => b.get('k'), 'get'],
  ['ranged get', b => b.getRange('k', 0, 5), 'get'],
  ['size', b => b.size('k'), 'head'],
  ['list', b => b.list(''), 'list'],
  ['directories', b => b.listDirectories(''), 'list'],
  ['delete', b => b.delete('k'), 'delete'],
]
suite('a store that is silent', { concurrency: 8 }, () => {
  for (const [name, work, operation] of requests)
    test(`a store that never answers a ${name}: given up within a minute, counted, worth another try`, async () => {
      await withStore(async store => {
        store.trouble = () => ({ kind: 'silent' })
        const clock = new VirtualClock(0)
        const bucket = await openBucket(store, clock)
        const { ms, error } = await passing(clock, work(bucket))
        assert.ok(error instanceof BucketError && error.transient && error.code === 'Timeout', String(error))
        assert.ok(ms <= 60_000, `${ms} ms`)
        assert.ok(bucket.requests.count(operation, 'timeout') > 0)
        assert.ok(bucket.requests.seconds(operation) >= 15)
      })
    })
})

test('a put whose caller has less time is given up by then', async () => {
  await withStore(async store => {
    store.trouble = () => ({ kind: 'silent' })
    const clock = new VirtualClock(0)
    const bucket = await openBucket(store, clock)
    const { ms, error } = await passing(clock, bucket.put('k', bytes, { withinMs: 5000 }))
    assert.ok(error instanceof BucketError)
    assert.ok(ms <= 6000, `${ms} ms`)
  })
})

test('a body that stops in the middle: given up, however much came', async () => {
  await withStore(async store => {
    store.objects.set('k', Buffer.alloc(100_000, 1))
    store.trouble = () => ({ kind: 'cut', bytes: 50_000, isOpen: true })
    const clock = new VirtualClock(0)
    const { ms, error } = await passing(clock, (await openBucket(store, clock)).get('k'))
    assert.ok(error instanceof BucketError && error.code === 'Timeout', String(error))
    assert.ok(ms <= 60_000, `${ms} ms`)
  })
})

const passingTroubles: [name: string, trouble: Trouble][] = [
  ['resets', { kind: 'reset' }],
  ['answers 503', { kind: 'refuse', status: 503, code: 'SlowDown' }],
  ['answers 500', { kind: 'refuse', status: 500, code: 'InternalError' }],
  ['cuts the body', { kind: 'cut', bytes: 5 }],
  ['loses the reply', { kind: 'lose-reply' }],
  ['finds our clock wrong', { kind: 'refuse', status: 403, code: 'RequestTimeTooSkewed' }],
]
for (const [name, trouble] of passingTroubles)
  test(`a store that ${name} once: every request succeeds`, async () => {
    const works = requests.map(([request, work]) =>
      withStore(async store => {
        store.objects.set('k', bytes)
        let left = 1
        store.trouble = () => (left-- > 0 ? trouble : undefined)
        if (request === 'conditional put') store.objects.delete('k')
        // An answer to HEAD has no body, and so no code.
        if (request === 'size' && trouble.kind === 'refuse' && trouble.status === 403) return
        const outcome = work(await openBucket(store))
        // Whose put a lost reply was about is for the caller to find out.
        if (request === 'conditional put' && trouble.kind === 'lose-reply') await assert.rejects(outcome)
        else await outcome
      }),
    )
    await Promise.all(works)
  })

test('a process that stops waits a while for a silent store, and asks it nothing more', async () => {
  await withStore(async store => {
    const clock = new VirtualClock(0)
    const bucket = await openBucket(store, clock)
    await bucket.put('k', bytes)
    store.trouble = () => ({ kind: 'silent' })
    const underWay = bucket.get('k')
    bucket.windDown(6000)
    const first = await passing(clock, underWay)
    assert.ok(first.error instanceof BucketError)
    assert.ok(first.ms <= 6500, `${first.ms} ms`)
    const { length } = store.requests
    await assert.rejects(bucket.get('k'), BucketError)
    assert.equal(store.requests.length, length)
    await assert.rejects(bucket.get('missing'), error => !(error instanceof NotFoundError))
  })
})

interface Process {
  url: string
  stderr: () => string
  exited: Promise<number | null>
  kill(signal: NodeJS.Signals): void
}

const ownFlags = [
  'listen.http=127.0.0.1:0',
  'listen.otlp_http=off',
  'listen.otlp_grpc=off',
  'self_scrape=false',
  'self_trace=false',
  'disk_free_min=0',
]

/** Tercet as a process of its own; `url` when it listens. */
async function up(directory: string, flags: readonly string[]): Promise<Process> {
  const all = [...ownFlags, `data_dir=${directory}/data`, ...flags].map(flag => `--${flag}`)
  const child = spawn(process.execPath, ['src/app/main.ts', 'up', ...all], { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  child.stdout.on('data', (piece: Buffer) => (out += piece.toString()))
  child.stderr.on('data', (piece: Buffer) => (err += piece.toString()))
  const exited = new Promise<number | null>(resolve => child.once('exit', resolve))
  let hasExited = false
  void exited.then(() => (hasExited = true))
  const url = await until(
    () => /http +(http:\/\/\S+)/.exec(out)?.[1] ?? (hasExited ? '' : undefined),
    'it listens or ends',
  ).catch((error: unknown) => {
    child.kill('SIGKILL')
    throw error
  })
  return { url, stderr: () => err, exited, kill: signal => child.kill(signal) }
}

/** Runs a process over a store in trouble, and stops it. */
async function withProcess(
  flags: readonly string[],
  trouble: (request: S3Request) => Trouble | undefined,
  work: (running: Process, store: S3Server) => Promise<void>,
): Promise<void> {
  const directory = temporaryDirectory()
  await withStore(async store => {
    store.trouble = trouble
    const running = await up(directory, [...store.flags, ...flags])
    try {
      await work(running, store)
    } finally {
      running.kill('SIGKILL')
      await running.exited
      rmSync(directory, { recursive: true, force: true })
    }
  })
}

async function ready(url: string): Promise<{ status: number; text: string }> {
  const reply = await fetch(`${url}/-/ready`)
  return { status: reply.status, text: await reply.text() }
}

const push = (url: string): Promise<Response> =>
  postWrite(url, writeBody([{ labels: [['__name__', 'a']], samples: [[Date.now(), 1]] }]))

const awayTroubles: [name: string, trouble: Trouble, pattern: RegExp][] = [
  ['answers 503', { kind: 'refuse', status: 503, code: 'SlowDown' }, /SlowDown/],
  ['resets', { kind: 'reset' }, /ECONNRESET|EPIPE|socket hang up/],
  ['is silent', { kind: 'silent' }, /did not answer/],
]
// Each has a process and a store of its own, and mostly waits.
suite('processes over a store in trouble', { concurrency: 6 }, () => {
  for (const [name, trouble, pattern] of awayTroubles) {
    test(`a bucket that ${name} at the start, local: starts, takes in, warns, and ships when it comes`, async () => {
      await withProcess(
        ['durability=local'],
        () => trouble,
        async ({ url, kill, exited }, store) => {
          const first = await ready(url)
          assert.equal(first.status, 200)
          assert.match(first.text, /bucket is away/)
          assert.match(first.text, pattern)
          assert.equal((await push(url)).status, 204)
          const answer = (await (await fetch(`${url}/api/v1/query?query=a`)).json()) as {
            data: { result: unknown[] }
            warnings: string[]
          }
          assert.equal(answer.data.result.length, 1)
          assert.match(answer.warnings.join(), /bucket/)
          const metrics = await (await fetch(`${url}/metrics`)).text()
          assert.match(metrics, /tercet_bucket_away\{signal="metrics"\} 1/)
          store.trouble = () => undefined
          await untilTrue(async () => !(await ready(url)).text.includes('away'), 'the bucket is used', 60)
          assert.equal((await fetch(`${url}/-/flush`, { method: 'POST' })).status, 204)
          assert.ok([...store.objects.keys()].some(key => key.endsWith('meta.json')))
          kill('SIGTERM')
          assert.equal(await exited, 0)
        },
      )
    })
    for (const flags of [['durability=bucket'], ['role=query']])
      test(`a bucket that ${name} at the start, ${flags[0]}: listens, 503 and why, ready when it comes`, async () => {
        await withProcess(
          flags,
          () => trouble,
          async ({ url, kill, exited }, store) => {
            const first = await ready(url)
            assert.equal(first.status, 503)
            assert.match(first.text, pattern)
            const query = await fetch(`${url}/api/v1/query?query=a`)
            assert.equal(query.status, 503)
            assert.match(await query.text(), pattern)
            if (flags[0] === 'durability=bucket') {
              const refused = await push(url)
              assert.equal(refused.status, 503)
              assert.ok(refused.headers.get('retry-after') !== null)
            }
            store.trouble = () => undefined
            await untilTrue(async () => (await ready(url)).status === 200, 'it is ready', 60)
            kill('SIGTERM')
            assert.equal(await exited, 0)
          },
        )
      })
  }

  const lasting: [code: string, status: number][] = [
    ['InvalidAccessKeyId', 403],
    ['SignatureDoesNotMatch', 403],
    ['AccessDenied', 403],
    ['NoSuchBucket', 404],
  ]
  for (const [code, status] of lasting)
    test(`${code}: one line in the form of the log, and exit code 1 (req-145)`, async () => {
      for (const flags of [['durability=local'], ['role=query', 'log.format=json']])
        await withProcess(
          flags,
          () => ({ kind: 'refuse', status, code }),
          async ({ stderr, exited }) => {
            assert.equal(await exited, 1)
            const lines = stderr().trim().split('\n')
            assert.equal(lines.length, 1, stderr())
            assert.match(
              lines[0]!,
              flags.length === 1
                ? /level=error .*msg="could not start"/
                : /^\{.*"level":"error".*"msg":"could not start"/,
            )
            assert.match(lines[0]!, new RegExp(code))
          },
        )
    })
})

suite('a store that falls silent', { concurrency: 2 }, () => {
  for (const durability of ['local', 'bucket'])
    test(`${durability}: a process stops within 15 seconds, whatever waits`, async () => {
      await withProcess(
        [`durability=${durability}`],
        () => undefined,
        async ({ url, kill, exited }, store) => {
          assert.equal((await push(url)).status, 204)
          store.trouble = () => ({ kind: 'silent' })
          const asked = store.requests.length
          const late = push(url)
          const isOfLog = ({ method, key }: S3Request): boolean => method === 'PUT' && key.includes('/wal/')
          if (durability === 'local') assert.equal((await late).status, 204)
          else await untilTrue(() => store.requests.slice(asked).some(isOfLog), 'the log is put into the bucket')
          const startedMs = performance.now()
          kill('SIGTERM')
          assert.equal(await exited, 0)
          assert.ok(performance.now() - startedMs < 15_000)
          if (durability === 'bucket') assert.equal((await late).status, 503)
        },
      )
    })
})

test('verbs on a store that can not be reached: one line, an exit code, no stack', async () => {
  const directory = temporaryDirectory()
  const away = ['bucket.s3.endpoint=http://127.0.0.1:1', ...(await offline())]
  const verbs = [
    ['check', 'bucket'],
    ['check', 'data'],
    ['import', '--from=prometheus', directory, '--all'],
  ]
  for (const verb of verbs) {
    const { code, err, out } = await runCommand([...verb, `--data_dir=${directory}`, ...away.map(flag => `--${flag}`)])
    assert.ok(code === 1 || code === 2, `${verb.join(' ')}: ${code} ${err}${out}`)
    assert.doesNotMatch(err, /\n +at |unsettled/, `${verb.join(' ')}: ${err}`)
  }
  rmSync(directory, { recursive: true, force: true })
})

/** The flags of a store, but for its place. */
async function offline(): Promise<string[]> {
  const store = await S3Server.open()
  await store.close()
  return [
    'bucket.s3.bucket=b',
    'bucket.s3.access_key_id=a',
    'bucket.s3.secret_access_key=s',
    'bucket.s3.allow_insecure=true',
  ]
}
