/**
 * Keys of each component on a real S3 server (Ceph's RADOS gateway), with the policies that `bootstrap-s3` writes and
 * an administrator puts: what they let do, what they keep out, and what `check bucket` says. Skipped, and said so,
 * where the server is not installed. Covers req-066, req-124, req-136, req-142, req-145, req-147, req-152.
 */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { openS3 } from '#bucket/s3.ts'
import { systemClock } from '#core/clock.ts'
import { signals } from '#core/signal-name.ts'
import { checkBucket } from '../bucket-check.ts'
import { startCeph, type Ceph, type CephUser } from '../ceph.ts'
import { needs } from '../peers.ts'
import { runCommand } from '../run-cli.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { urlOf } from '../url.ts'
import { postWrite, writeBody } from '../write-request.ts'

const buckets = { metrics: 'mimir-blocks', logs: 'loki-chunks', traces: 'tempo-traces' } as const
const hourMs = 3_600_000
const dayMs = 24 * hourMs

suite('keys of each component on Ceph', needs('radosgw', 'ceph-mon', 'ceph-osd'), () => {
  const work = temporaryDirectory()
  let ceph: Ceph
  const users = new Map<string, CephUser>()
  const bootstraps: string[] = []

  before(async () => {
    ceph = await startCeph(join(work, 'ceph'), ['elsewhere'])
    for (const name of [...signals, 'query', 'partial']) users.set(name, await ceph.createUser(name))
    writeFileSync(
      join(work, 'stack.yaml'),
      `s3: { endpoint: '${ceph.endpoint}', region: us-east-1, allow_insecure: true }\n`,
    )
    const principals = [...signals, 'query'].map(name => `--principal=${name}=${users.get(name)!.arn}`)
    const policies = `--policies=${join(work, 'policies')}`
    const env = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'testtesttest' }
    for (let i = 0; i < 2; i++) {
      const place = ['--config', join(work, 'stack.yaml'), policies, ...principals]
      const { code, out, err } = await runCommand(['deploy', 'bootstrap-s3', ...place], { env })
      assert.equal(code, 0, err)
      bootstraps.push(out)
    }
    for (const Bucket of Object.values(buckets)) await putPolicy(Bucket, readPolicy(Bucket))
  })

  after(async () => {
    await ceph.stop()
    rmSync(work, { recursive: true, force: true })
  })

  const readPolicy = (bucket: string): string => readFileSync(join(work, `policies/bucket/${bucket}.json`), 'utf8')
  const putPolicy = async (Bucket: string, Policy: string): Promise<void> => {
    await ceph.client.send(new PutBucketPolicyCommand({ Bucket, Policy }))
  }

  const keyFlags = (prefix: string, user: string): string[] => [
    `${prefix}bucket.s3.access_key_id=${users.get(user)!.accessKeyId}`,
    `${prefix}bucket.s3.secret_access_key=${users.get(user)!.secretAccessKey}`,
  ]
  const storeFlags = (): string[] => [`bucket.s3.endpoint=${ceph.endpoint}`, 'bucket.s3.allow_insecure=true']
  const flagsOf = (bucket: string, user: string): string[] => [
    ...storeFlags(),
    `bucket.s3.bucket=${bucket}`,
    ...keyFlags('', user),
  ]
  const stackFlags = (userOf: (signal: string) => string): string[] => [
    ...storeFlags(),
    ...signals.flatMap(signal => [
      `${signal}.bucket.s3.bucket=${buckets[signal]}`,
      ...keyFlags(`${signal}.`, userOf(signal)),
    ]),
  ]

  /** Every version, marker of deletion and unfinished upload. */
  async function contentsOf(Bucket: string): Promise<string[]> {
    const { Versions = [], DeleteMarkers = [] } = await ceph.client.send(new ListObjectVersionsCommand({ Bucket }))
    const { Uploads = [] } = await ceph.client.send(new ListMultipartUploadsCommand({ Bucket }))
    return [
      ...[...Versions, ...DeleteMarkers].map(({ Key, VersionId }) => `${Key} ${VersionId}`),
      ...Uploads.map(({ Key }) => `unfinished ${Key}`),
    ]
  }

  async function keysOf(Bucket: string): Promise<string[]> {
    const { Contents = [] } = await ceph.client.send(new ListObjectsV2Command({ Bucket }))
    return Contents.map(({ Key }) => Key ?? '')
  }

  test('bootstrap-s3 has nothing to do the second time (req-142, req-147, req-152)', () => {
    const lines = bootstraps.map(text => text.split('\n'))
    for (const [i, name] of Object.values(buckets).entries()) {
      assert.match(lines[0]![i]!, new RegExp(`^${name}: created, without object lock; versioning turned on; lifecycle`))
      assert.equal(lines[1]![i], `${name}: is as it should be`)
    }
    assert.match(lines[1]![3]!, /^policies: .*one a bucket, .*one a user$/)
  })

  for (const signal of signals)
    test(`check bucket is content with the key of ${signal}, and leaves nothing (req-066, req-124)`, async () => {
      const before = await contentsOf(buckets[signal])
      const { bad, all, code } = await checkBucket(flagsOf(buckets[signal], signal))
      assert.deepEqual([bad, code], [[], 0])
      assert.ok(all.includes('good rights: these credentials see no other buckets; '), all.join('\n'))
      assert.ok(all.some(line => line.startsWith('good multipart: ')))
      assert.ok(all.some(line => /^note versioning: not seen: .*it takes s3:GetBucketVersioning/.test(line)))
      assert.deepEqual(await contentsOf(buckets[signal]), before)
    })

  test("the key of logs does nothing in the bucket of metrics, nor in somebody else's (req-124, req-136)", async () => {
    for (const bucket of [buckets.metrics, 'elsewhere']) {
      const { bad, code } = await checkBucket(flagsOf(bucket, 'logs'))
      const text = bad.join('\n')
      assert.equal(code, 1)
      assert.match(text, new RegExp(`^reach: .* ${bucket} \\(AccessDenied; it takes s3:ListBucket\\)`))
      assert.match(text, /^rights: .*the key may be another component's, or the bucket somebody else's/m)
      assert.deepEqual(await contentsOf(bucket), [])
    }
  })

  test('wrong keys, and a clock an hour ahead (req-145)', async () => {
    const flags = flagsOf(buckets.metrics, 'metrics')
    const wrongSecret = await checkBucket([...flags, 'bucket.s3.secret_access_key=wrong'])
    assert.match(wrongSecret.bad.join(), /^reach: the secret does not belong to the access key/)
    const wrongKey = await checkBucket([...flags, 'bucket.s3.access_key_id=nobody'])
    assert.match(wrongKey.bad.join(), /^reach: the store does not know the access key/)
    const shift = 'const now = Date.now; Date.now = () => now() + 3600000'
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(shift)}` }
    const skewed = await runCommand(['check', 'bucket', ...flags.map(flag => `--${flag}`)], { env })
    assert.equal(skewed.code, 1)
    assert.match(
      skewed.out,
      /BAD .* clock +the store's clock is 3[56]\d\d s behind this machine's\n +set the clocks by NTP/,
    )
  })

  const missing: [action: string, check: string][] = [
    ['s3:ListBucket', 'reach'],
    ['s3:DeleteObject', 'delete'],
    ['s3:PutObject', 'read and write'],
    ['s3:AbortMultipartUpload', 'multipart'],
    ['s3:ListBucketVersions', 'conditional put'],
    ['s3:DeleteObjectVersion', 'conditional put'],
  ]
  test('check bucket names the right that is missing, and leaves nothing to be listed (req-066)', async () => {
    const Bucket = 'partial'
    const policy = readPolicy(buckets.metrics).replaceAll(buckets.metrics, Bucket)
    const whole = policy.replaceAll(users.get('metrics')!.arn, users.get('partial')!.arn)
    await ceph.client.send(new CreateBucketCommand({ Bucket }))
    await ceph.client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }))
    await putPolicy(Bucket, whole)
    assert.deepEqual((await checkBucket(flagsOf(Bucket, 'partial'))).bad, [])
    // Whoever wrote an object may read it there, whatever the policy says: a reader needs the right.
    await putPolicy(Bucket, whole.replaceAll('"s3:GetObject"', '"s3:GetObjectTorrent"'))
    await ceph.client.send(new PutObjectCommand({ Bucket, Key: 'foreign', Body: 'x' }))
    const reading = await checkBucket([...flagsOf(Bucket, 'partial'), 'role=query'])
    assert.match(reading.bad.join('\n'), /^read: .*it takes s3:GetObject\)/)
    await ceph.client.send(new DeleteObjectCommand({ Bucket, Key: 'foreign' }))
    for (const [action, check] of missing) {
      // Some other action in its place, since a statement needs one.
      await putPolicy(Bucket, whole.replaceAll(`"${action}"`, '"s3:GetObjectTorrent"'))
      const { bad, code } = await checkBucket(flagsOf(Bucket, 'partial'))
      assert.equal(code, 1, action)
      const line = bad.find(text => text.startsWith(`${check}: `)) ?? ''
      assert.ok(line.includes(`it takes ${action})`), `${action}: ${bad.join('\n')}`)
      assert.deepEqual(await keysOf(Bucket), [], action)
      const unfinished = (await contentsOf(Bucket)).filter(text => text.startsWith('unfinished'))
      assert.deepEqual(unfinished, [], action)
    }
  })

  test('a file in parts goes up with a key of a component, and comes back', async () => {
    const bucket = await openS3({
      endpoint: ceph.endpoint,
      region: 'us-east-1',
      bucket: buckets.traces,
      credentials: { isChanging: false, read: () => Promise.resolve(users.get('traces')!) },
      pathStyle: true,
      clock: systemClock,
    })
    const bytes = Buffer.alloc(20_000_000, 'part')
    writeFileSync(join(work, 'large'), bytes)
    await bucket.putFile('other/large', join(work, 'large'))
    assert.equal(Buffer.compare(await bucket.get('other/large'), bytes), 0)
    await bucket.delete('other/large')
  })

  /** A sample, a line and a span of each hour. */
  async function push(url: string, times: readonly number[]): Promise<void> {
    const samples = times.map((timeMs, i): [number, number] => [timeMs, i])
    const labels: [string, string][] = [['__name__', 'kept']]
    assert.equal((await postWrite(url, writeBody([{ labels, samples }]))).status, 204)
    const post = (path: string, body: unknown): Promise<Response> =>
      fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    const values = times.map(timeMs => [`${timeMs}000000`, `a line of ${timeMs}`])
    const pushed = await post('/loki/api/v1/push', { streams: [{ stream: { app: 'x' }, values }] })
    assert.equal(pushed.status, 204, await pushed.text())
    const spans = times.map((timeMs, i) => ({
      traceId: (timeMs + i).toString(16).padStart(32, '1'),
      spanId: '00f067aa0ba902b7',
      name: 'kept',
      startTimeUnixNano: `${timeMs}000000`,
      endTimeUnixNano: `${timeMs + 1}000000`,
    }))
    assert.equal((await post('/v1/traces', { resourceSpans: [{ scopeSpans: [{ spans }] }] })).status, 200)
  }

  async function answersOf(url: string, nowMs: number): Promise<{ samples: number; lines: number; spans: number }> {
    const ask = async (path: string, query: Record<string, string>): Promise<string> =>
      (await fetch(urlOf(url, path, query))).text()
    const seconds = { start: String(nowMs / 1000 - 86_400), end: String(nowMs / 1000 + 60) }
    const metrics = await ask('/api/v1/query', { query: 'kept[1d]', time: seconds.end })
    const logs = await ask('/loki/api/v1/query_range', { query: '{app="x"}', limit: '1000', ...seconds })
    const search = { q: '{ name = "kept" }', limit: '1000', start: `${Math.floor(nowMs / 1000) - 86_400}` }
    const traces = await ask('/api/search', { ...search, end: `${Math.ceil(nowMs / 1000) + 60}` })
    return {
      samples: [...metrics.matchAll(/\[\d+(\.\d+)?,"/g)].length,
      lines: [...logs.matchAll(/a line of/g)].length,
      spans: [...traces.matchAll(/"traceID"/g)].length,
    }
  }

  async function refusedBy({ url }: Running): Promise<string[]> {
    const text = await (await fetch(`${url}/metrics`)).text()
    return text.split('\n').filter(line => /^tercet_bucket_requests_total.*"refused".* [1-9]/.test(line))
  }

  test('a server runs with three keys, and one that only reads beside it (req-066, req-124, req-136)', async () => {
    const nowMs = Math.floor(Date.now() / 1000) * 1000
    let shiftMs = 0
    const clock = {
      ...systemClock,
      nowMs: () => Date.now() + shiftMs,
      monotonicMs: () => performance.now() + shiftMs,
    }
    const flags = [
      ...stackFlags(signal => signal),
      'durability=bucket',
      'metrics.out_of_order_window=1d',
      'logs.out_of_order_window=1d',
    ]
    let running = await runTercet(flags, temporaryDirectory(), { clock })
    try {
      for (let round = 0; round < 3; round++) {
        await push(
          running.url,
          [6, 4, 2].map(hours => nowMs - hours * hourMs + round * 60_000),
        )
        await running.tercet.flush()
      }
      for (const signal of running.tercet.signals) await signal.maintain()
      const whole = { samples: 9, lines: 9, spans: 9 }
      assert.deepEqual(await answersOf(running.url, nowMs), whole)
      await running.stop()
      running = await runTercet(flags, temporaryDirectory(), { clock })
      assert.deepEqual(await answersOf(running.url, nowMs), whole)

      const before = await Promise.all(Object.values(buckets).map(contentsOf))
      const reader = await runTercet([...stackFlags(() => 'query'), 'role=query'])
      assert.deepEqual(await answersOf(reader.url, nowMs), whole)
      const labels: [string, string][] = [['__name__', 'kept']]
      const refused = await postWrite(reader.url, writeBody([{ labels, samples: [[nowMs, 1]] }]))
      assert.ok(refused.status >= 400, `a write was answered ${refused.status}`)
      for (const signal of reader.tercet.signals) await signal.refresh()
      assert.deepEqual(await refusedBy(reader), [])
      await reader.stop()
      for (const signal of signals) {
        const { bad, code } = await checkBucket([...flagsOf(buckets[signal], 'query'), 'role=query'])
        assert.deepEqual([bad, code], [[], 0])
      }
      assert.deepEqual(await Promise.all(Object.values(buckets).map(contentsOf)), before)
      // The same key where something is to be written: said at once, by check bucket and at the start.
      const writing = await checkBucket(flagsOf(buckets.metrics, 'query'))
      assert.match(writing.bad.join('\n'), /^delete: .*it takes s3:DeleteObject\)/)
      await assert.rejects(
        runTercet(stackFlags(() => 'query')),
        /the bucket can't be used: put failed: .*AccessDenied; it takes s3:PutObject\)/,
      )

      const removal = await fetch(urlOf(running.url, '/api/v1/admin/tsdb/delete_series', { 'match[]': 'kept' }), {
        method: 'POST',
      })
      assert.equal(removal.status, 204)
      const cleaning = await fetch(`${running.url}/api/v1/admin/tsdb/clean_tombstones`, { method: 'POST' })
      assert.equal(cleaning.status, 204)
      assert.equal((await answersOf(running.url, nowMs)).samples, 0)
      const dataThere = async (): Promise<string[]> =>
        (await Promise.all(Object.values(buckets).map(keysOf))).flat().filter(key => !key.includes('/tercet/'))
      assert.notDeepEqual(await dataThere(), [])
      // Past the retention; what was replaced leaves the bucket two hours later.
      for (shiftMs = 40 * dayMs; shiftMs < 41 * dayMs; shiftMs += 6 * hourMs)
        for (const signal of running.tercet.signals) await signal.maintain()
      assert.deepEqual(
        (await dataThere()).filter(key => /\/chunks\/|\/index$|data\.parquet|^fake\//.test(key)),
        [],
      )
      assert.deepEqual(await refusedBy(running), [])
    } finally {
      await running.stop()
    }
  })
})
