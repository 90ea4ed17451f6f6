/**
 * The S3 bucket against a real S3 server (Ceph's RADOS gateway from Debian), and a whole Tercet on it with its disk
 * taken away; buckets made and examined; the bucket handed over. Skipped, and said so, where the server is not
 * installed. Covers req-004, req-008, req-038, req-039, req-040, req-060, req-142, req-145, req-147, req-150,
 * req-152, req-159, req-176.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  CreateBucketCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { bucketSuite } from '#bucket/bucket-suite.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { openS3 } from '#bucket/s3.ts'
import { systemClock } from '#core/clock.ts'
import { freePort } from '../free-port.ts'
import { runCommand } from '../run-cli.ts'
import { runTercet, temporaryDirectory } from '../run-tercet.ts'
import { urlOf } from '../url.ts'
import { postWrite, writeBody } from '../write-request.ts'

const installed = ['radosgw', 'ceph-mon', 'ceph-osd'].every(name => spawnSync('which', [name]).status === 0)
if (!installed)
  console.log(
    'SKIPPED: radosgw, ceph-mon and ceph-osd are not installed; the S3 bucket was not tested against a real server',
  )

let server: ChildProcess | undefined
let endpoint = ''
const directory = temporaryDirectory()

const keys = { accessKeyId: 'test', secretAccessKey: 'testtesttest' }
const open = (bucket: string, overrides: Partial<typeof keys> = {}): Promise<Bucket> =>
  openS3({
    endpoint,
    region: 'minio',
    bucket,
    credentials: { isChanging: false, read: () => Promise.resolve({ ...keys, ...overrides }) },
    pathStyle: true,
    clock: systemClock,
  })

if (installed) {
  before(async () => {
    const port = await freePort()
    server = spawn('bash', ['tools/s3-server.sh', `${directory}/ceph`, String(port)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await new Promise<void>((resolve, reject) => {
      server!.stdout!.on('data', (chunk: Buffer) => {
        if (chunk.toString().includes('ready')) resolve()
      })
      server!.once('exit', code => {
        reject(new Error(`the S3 server ended with ${code}`))
      })
    })
    endpoint = `http://127.0.0.1:${port}`
    const client = new S3Client({
      endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: keys,
      requestChecksumCalculation: 'WHEN_REQUIRED',
    })
    for (const Bucket of ['suite', 'versioned', 'metrics', 'logs'])
      await client.send(new CreateBucketCommand({ Bucket }))
    await client.send(
      new PutBucketVersioningCommand({ Bucket: 'versioned', VersioningConfiguration: { Status: 'Enabled' } }),
    )
    client.destroy()
  })

  after(async () => {
    const ended = new Promise(resolve => server?.once('exit', resolve))
    server?.kill('SIGTERM')
    await ended
    rmSync(directory, { recursive: true, force: true })
  })

  bucketSuite('s3', () => open('suite'), 40_000_000)
  // Where this store takes no notice of If-None-Match.
  bucketSuite('s3, versioned', () => open('versioned'), 20_000_000)

  for (const durability of ['local', 'bucket']) {
    test(
      `${durability}: logs in S3 by Loki's keys; with the disk gone the answers are the same ` +
        '(req-004, req-038, req-039, req-040)',
      async () => {
        const flags = [
          `durability=${durability}`,
          `bucket.s3.endpoint=${endpoint}`,
          'bucket.s3.region=minio',
          'bucket.s3.allow_insecure=true',
          `bucket.s3.access_key_id=${keys.accessKeyId}`,
          `bucket.s3.secret_access_key=${keys.secretAccessKey}`,
          'bucket.s3.bucket=metrics',
          'logs.bucket.s3.bucket=logs',
          `bucket.s3.prefix=logs-${durability}`,
        ]
        const first = await runTercet(flags)
        const push = (line: string): Promise<Response> =>
          fetch(`${first.url}/loki/api/v1/push`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ streams: [{ stream: { app: 's3' }, values: [[`${Date.now()}000000`, line]] }] }),
          })
        assert.equal((await push('before the flush')).status, 204)
        assert.equal((await fetch(`${first.url}/-/flush`, { method: 'POST' })).status, 204)
        assert.equal((await push('after the flush')).status, 204)
        const bucket = await open('logs')
        const keysThere = (await bucket.list(`logs-${durability}/`)).map(o => o.key.slice(durability.length + 6))
        assert.ok(
          keysThere.some(key => /^fake\/[0-9a-f]+\/[0-9a-f]+:[0-9a-f]+:[0-9a-f]+$/.test(key)),
          keysThere.join(' '),
        )
        assert.ok(
          keysThere.some(key => /^index\/index_\d+\/fake\/\d+-compactor-\d+-\d+-[0-9a-f]+\.tsdb\.gz$/.test(key)),
          keysThere.join(' '),
        )
        await first.stop()
        const second = await runTercet(flags)
        try {
          const reply = await fetch(
            urlOf(second.url, '/loki/api/v1/query_range', {
              query: '{app="s3"} |= "the flush"',
              direction: 'forward',
            }),
          )
          const { data } = (await reply.json()) as { data: { result: { values: [string, string][] }[] } }
          assert.deepEqual(
            data.result.flatMap(s => s.values.map(v => v[1])),
            ['before the flush', 'after the flush'],
          )
        } finally {
          await second.stop()
        }
      },
    )
  }

  test("wrong credentials, a missing bucket, nobody there: the operation and the store's code (req-145)", async () => {
    await assert.rejects(
      (await open('suite', { secretAccessKey: 'wrong' })).list(''),
      /list failed: SignatureDoesNotMatch/,
    )
    await assert.rejects((await open('nothere')).list(''), /list failed: NoSuchBucket/)
    const flags = (bucket: string, secret: string): string[] => [
      `bucket.s3.endpoint=${endpoint}`,
      'bucket.s3.allow_insecure=true',
      `bucket.s3.bucket=${bucket}`,
      'bucket.s3.access_key_id=test',
      `bucket.s3.secret_access_key=${secret}`,
    ]
    await assert.rejects(
      runTercet(flags('metrics', 'wrong')),
      /the bucket can't be used: list failed: the secret does not belong to the access key \(SignatureDoesNotMatch\); /,
    )
    await assert.rejects(
      runTercet(flags('nothere', keys.secretAccessKey)),
      /the bucket can't be used: list failed: there is no bucket .*bootstrap-s3/,
    )
    await assert.rejects(
      runTercet([`bucket.s3.endpoint=${endpoint}`, 'bucket.s3.bucket=metrics']),
      /has no TLS; use https/,
    )
  })

  for (const durability of ['local', 'bucket']) {
    test(`${durability}: blocks and log in S3; with the disk gone the answers are the same`, async () => {
      const flags = [
        `bucket.s3.endpoint=${endpoint}`,
        'bucket.s3.allow_insecure=true',
        'bucket.s3.bucket=metrics',
        `bucket.s3.prefix=${durability}`,
        'bucket.s3.region=minio',
        'bucket.s3.access_key_id=test',
        'bucket.s3.secret_access_key=testtesttest',
        `durability=${durability}`,
      ]
      const now = Math.floor(Date.now() / 1000) * 1000
      const ask = async (url: string): Promise<unknown> =>
        (
          (await (await fetch(`${url}/api/v1/query?query=sum_over_time(s[1h])&time=${now / 1000}`)).json()) as {
            data: unknown
          }
        ).data
      let running = await runTercet(flags)
      for (let i = 0; i < 20; i++)
        assert.equal(
          (
            await postWrite(
              running.url,
              writeBody([
                {
                  labels: [
                    ['__name__', 's'],
                    ['i', String(i)],
                  ],
                  samples: [[now - 1000 * (20 - i), i]],
                },
              ]),
            )
          ).status,
          204,
        )
      if (durability === 'local') assert.equal((await fetch(`${running.url}/-/flush`, { method: 'POST' })).status, 204)
      const before = await ask(running.url)
      await running.stop()
      running = await runTercet(flags)
      assert.deepEqual(await ask(running.url), before)
      assert.equal((before as { result: unknown[] }).result.length, 20)
      await running.stop()
    })
  }

  const s3Client = (): S3Client =>
    new S3Client({
      endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: keys,
      requestChecksumCalculation: 'WHEN_REQUIRED',
    })
  const asFlags = (bucket: string): string[] => [
    `--bucket.s3.endpoint=${endpoint}`,
    '--bucket.s3.region=minio',
    '--bucket.s3.allow_insecure=true',
    `--bucket.s3.bucket=${bucket}`,
    '--bucket.s3.access_key_id=test',
    '--bucket.s3.secret_access_key=testtesttest',
  ]

  test('bootstrap-s3 makes the buckets, then does nothing; check bucket finds what is wrong', async () => {
    const work = mkdtempSync(join(tmpdir(), 'tercet-admin-'))
    const client = s3Client()
    const env = { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey }
    try {
      writeFileSync(
        join(work, 'stack.yaml'),
        `s3: { endpoint: '${endpoint}', region: us-east-1, allow_insecure: true }\n`,
      )
      const first = await runCommand(['deploy', 'bootstrap-s3', '--config', join(work, 'stack.yaml')], { env })
      assert.equal(first.code, 0, first.err)
      for (const name of ['mimir-blocks', 'loki-chunks', 'tempo-traces']) {
        assert.match(
          first.out,
          new RegExp(`${name}: created, without object lock; versioning turned on; lifecycle set`),
          'req-142 req-147 req-152',
        )
        assert.equal((await client.send(new GetBucketVersioningCommand({ Bucket: name }))).Status, 'Enabled', 'req-142')
        const [rule] = (await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: name }))).Rules ?? []
        assert.deepEqual(
          [
            rule?.AbortIncompleteMultipartUpload?.DaysAfterInitiation,
            rule?.NoncurrentVersionExpiration?.NoncurrentDays,
            rule?.Expiration?.Days,
          ],
          [1, 7, undefined],
          'req-147 req-150',
        )
      }
      const second = await runCommand(['deploy', 'bootstrap-s3', '--config', join(work, 'stack.yaml')], { env })
      assert.equal(
        second.out,
        'mimir-blocks: is as it should be\nloki-chunks: is as it should be\ntempo-traces: is as it should be\n',
      )
      const check = async (
        bucket: string,
        more: readonly string[] = [],
      ): Promise<{ code: number; found: Map<string, string>; text: string }> => {
        const { code, out, err } = await runCommand(['check', 'bucket', '--json', ...asFlags(bucket), ...more])
        assert.equal(err, '')
        const { findings } = JSON.parse(out) as { findings: { check: string; level: string; found: string }[] }
        return { code, found: new Map(findings.map(f => [f.check, f.level])), text: out }
      }
      const good = await check('mimir-blocks')
      assert.equal(good.code, 0, good.text)
      for (const name of [
        'reach',
        'clock',
        'read and write',
        'etag',
        'list',
        'multipart',
        'path style',
        'region',
        'versioning',
        'lifecycle',
        'object lock',
      ])
        assert.equal(good.found.get(name), 'good', name)
      assert.notEqual(good.found.get('conditional put'), 'bad')
      assert.deepEqual(await (await open('mimir-blocks')).list(''), [], 'it leaves nothing')
      // A versioned bucket has a writer too.
      const running = await runTercet(asFlags('mimir-blocks').map(f => f.slice(2)))
      await running.stop()
      assert.ok(good.found.has('latency') && good.found.has('checksum') && good.found.has('rights'), 'req-060')
      await client.send(
        new PutBucketLifecycleConfigurationCommand({
          Bucket: 'loki-chunks',
          LifecycleConfiguration: {
            Rules: [{ ID: 'early', Status: 'Enabled', Filter: { Prefix: '' }, Expiration: { Days: 7 } }],
          },
        }),
      )
      const early = await check('loki-chunks')
      assert.deepEqual(
        [early.code, early.found.get('lifecycle'), early.found.get('versioning')],
        [1, 'bad', 'bad'],
        'req-150',
      )
      assert.equal(
        (
          await check('loki-chunks', ['--metrics.retention=3d', '--logs.retention=3d', '--traces.retention=3d'])
        ).found.get('lifecycle'),
        'note',
      )
      await client.send(new CreateBucketCommand({ Bucket: 'locked', ObjectLockEnabledForBucket: true }))
      assert.equal((await check('locked')).found.get('object lock'), 'bad', 'req-152')
      assert.deepEqual([(await check('nowhere')).code, (await check('nowhere')).found.get('reach')], [1, 'bad'])
      assert.equal((await check('mimir-blocks', ['--bucket.s3.secret_access_key=wrong'])).found.get('reach'), 'bad')
      writeFileSync(
        join(work, 'stack.yaml'),
        `s3: { endpoint: '${endpoint}', allow_insecure: true, buckets: { metrics: locked } }\n`,
      )
      assert.match(
        (await runCommand(['deploy', 'bootstrap-s3', '--config', join(work, 'stack.yaml')], { env })).err,
        /object lock/,
      )
    } finally {
      client.destroy()
      rmSync(work, { recursive: true })
    }
  })

  test('keys in files are read again: a changed key is used without a restart (req-159)', async () => {
    const work = mkdtempSync(join(tmpdir(), 'tercet-keys-'))
    try {
      // The clock is a minute late: what was read is at its end at once.
      let current = keys
      const bucket = await openS3({
        endpoint,
        region: 'us-east-1',
        bucket: 'suite',
        pathStyle: true,
        credentials: { isChanging: true, read: () => Promise.resolve(current) },
        clock: { ...systemClock, nowMs: () => Date.now() - 61_000 },
      })
      await bucket.list('x')
      current = { ...keys, secretAccessKey: 'another' }
      await assert.rejects(bucket.list('x'), /SignatureDoesNotMatch/, 'req-159')
      current = keys
      await bucket.list('x')
      writeFileSync(join(work, 'id'), 'test\n')
      writeFileSync(join(work, 'key'), 'testtesttest\n')
      const running = await runTercet([
        `bucket.s3.endpoint=${endpoint}`,
        'bucket.s3.allow_insecure=true',
        'bucket.s3.bucket=metrics',
        'bucket.s3.prefix=files',
        `bucket.s3.access_key_id_file=${work}/id`,
        `bucket.s3.secret_access_key_file=${work}/key`,
      ])
      assert.equal((await fetch(`${running.url}/ready`)).status, 200)
      await running.stop()
      await assert.rejects(
        runTercet([
          `bucket.s3.endpoint=${endpoint}`,
          'bucket.s3.allow_insecure=true',
          'bucket.s3.bucket=metrics',
          'bucket.s3.access_key_id=test',
          'bucket.s3.secret_access_key=testtesttest',
          'logs.bucket.s3.access_key_id=other',
          'logs.bucket.s3.secret_access_key=other',
        ]),
        /list failed: .*(InvalidAccessKeyId|AccessDenied)/,
        'req-124 req-136: each signal its own keys',
      )
    } finally {
      rmSync(work, { recursive: true })
    }
  })

  test('import out of a bucket: a chunk file of 40 MB goes over the disk, and comes out as it was', async () => {
    const work = mkdtempSync(join(tmpdir(), 'tercet-import-'))
    const bucket = await open('suite')
    const id = '01M7XPRJMKDMK41SCYK1X29CX8'
    const chunk = Buffer.alloc(40_000_000, 'chunk')
    const env = { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey }
    try {
      chunk.writeUInt32LE(7, 39_999_996)
      for (const [name, bytes] of [
        [
          'meta.json',
          Buffer.from(
            JSON.stringify({
              ulid: id,
              version: 1,
              minTime: 0,
              maxTime: Date.now(),
              compaction: { level: 1, sources: [id] },
            }),
          ),
        ],
        ['index', Buffer.from('index')],
        ['chunks/000001', chunk],
      ] as const)
        await bucket.put(`import/${id}/${name}`, bytes)
      const importing = (): ReturnType<typeof runCommand> =>
        runCommand(
          [
            'import',
            '--from',
            'thanos',
            's3://suite/import',
            '--source-endpoint',
            endpoint,
            `--data_dir=${work}`,
            '--json',
          ],
          { env },
        )
      const first = await importing()
      assert.equal(first.code, 0, first.err)
      assert.deepEqual(JSON.parse(first.out), {
        copied: 3,
        present: 0,
        bytes: chunk.length + 5 + (await bucket.size(`import/${id}/meta.json`)),
        skipped: [],
      })
      assert.equal(Buffer.compare(readFileSync(join(work, 'bucket/metrics/anonymous', id, 'chunks/000001')), chunk), 0)
      assert.equal((JSON.parse((await importing()).out) as { present: number }).present, 3)
      assert.deepEqual(
        readdirSync(work).filter(name => name.includes('part')),
        [],
      )
    } finally {
      rmSync(work, { recursive: true })
    }
  })

  test(
    'graduate: everything is in the buckets, nothing is written any more, and a restart does not take it back ' +
      '(req-176)',
    async () => {
      const work = mkdtempSync(join(tmpdir(), 'tercet-graduate-'))
      const client = s3Client()
      for (const Bucket of ['g-metrics', 'g-logs', 'g-traces']) await client.send(new CreateBucketCommand({ Bucket }))
      client.destroy()
      const settings = {
        'bucket.s3.endpoint': endpoint,
        'bucket.s3.allow_insecure': 'true',
        'bucket.s3.access_key_id': 'test',
        'bucket.s3.secret_access_key': 'testtesttest',
        'metrics.bucket.s3.bucket': 'g-metrics',
        'logs.bucket.s3.bucket': 'g-logs',
        'traces.bucket.s3.bucket': 'g-traces',
      }
      const flags = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
      let running = await runTercet(flags)
      try {
        const now = Date.now()
        assert.equal(
          (await postWrite(running.url, writeBody([{ labels: [['__name__', 'g']], samples: [[now, 1]] }]))).status,
          204,
        )
        assert.equal(
          (
            await fetch(`${running.url}/v1/traces`, {
              method: 'POST',
              headers: { 'content-type': 'application/json' },
              body: JSON.stringify({
                resourceSpans: [
                  {
                    scopeSpans: [
                      {
                        spans: [
                          {
                            traceId: '0af7651916cd43dd8448eb211c80319c',
                            spanId: '00f067aa0ba902b7',
                            name: 'g',
                            startTimeUnixNano: `${now}000000`,
                            endTimeUnixNano: `${now + 1}000000`,
                          },
                        ],
                      },
                    ],
                  },
                ],
              }),
            })
          ).status,
          200,
        )
        writeFileSync(
          join(work, 'tercet.yaml'),
          `bucket: { s3: { endpoint: '${endpoint}', allow_insecure: true, access_key_id: test, ` +
            'secret_access_key: testtesttest } }\n' +
            'metrics: { bucket: { s3: { bucket: g-metrics } }, retention: 60d }\n' +
            'logs: { bucket: { s3: { bucket: g-logs } } }\n' +
            'traces: { bucket: { s3: { bucket: g-traces } } }\n',
        )
        const dry = await runCommand([
          'deploy',
          'graduate',
          '--tercet-config',
          join(work, 'tercet.yaml'),
          '-o',
          join(work, 'out'),
        ])
        assert.equal(dry.code, 0, dry.err)
        assert.match(dry.out, /Not done yet/)
        assert.equal(
          (await postWrite(running.url, writeBody([{ labels: [['__name__', 'g']], samples: [[now + 1, 2]] }]))).status,
          204,
        )
        const done = await runCommand([
          'deploy',
          'graduate',
          '--tercet-config',
          join(work, 'tercet.yaml'),
          '--url',
          running.url,
          '--hand-over',
          '-o',
          join(work, 'out'),
        ])
        assert.equal(done.code, 0, done.err)
        assert.match(done.out, /1 blocks of traces are vParquet5/)
        const mimir = readFileSync(join(work, 'out/kubernetes/apps/monitoring/mimir/app/helmrelease.yaml'), 'utf8')
        assert.match(mimir, /bucket_name: g-metrics/)
        assert.match(mimir, /compactor_blocks_retention_period: 1440h/)
        // Everything is in the buckets as Mimir, Loki and Tempo want it.
        assert.ok(
          (await (await open('g-metrics')).list('anonymous/')).some(o =>
            /^anonymous\/[0-9A-Z]{26}\/meta\.json$/.test(o.key),
          ),
        )
        assert.ok((await (await open('g-traces')).list('single-tenant/')).some(o => o.key.endsWith('/data.parquet')))
        // What comes in is refused in a way that senders repeat, and queries are answered.
        const refused = await postWrite(
          running.url,
          writeBody([{ labels: [['__name__', 'g']], samples: [[now + 2, 3]] }]),
        )
        assert.deepEqual([refused.status, refused.headers.has('retry-after')], [503, true])
        assert.match(await refused.text(), /handed over to Mimir, Loki and Tempo/)
        assert.match(await (await fetch(`${running.url}/api/v1/query?query=g`)).text(), /"2"/)
        await running.stop()
        await assert.rejects(runTercet(flags), /handed over to Mimir, Loki and Tempo.*take_back/)
        running = await runTercet([...flags, 'take_back=true'])
        assert.equal(
          (await postWrite(running.url, writeBody([{ labels: [['__name__', 'g']], samples: [[now + 2, 3]] }]))).status,
          204,
        )
      } finally {
        await running.stop()
        rmSync(work, { recursive: true })
      }
    },
  )
}
