/**
 * The S3 bucket against a real S3 server (Ceph's RADOS gateway from Debian), and a whole Tercet on it with its disk taken
 * away. Skipped, and said so, where the server is not installed. Covers req-004, req-008, req-038, req-039, req-040, req-145.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { createServer } from 'node:net'
import { rmSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { bucketSuite } from '#bucket/bucket-suite.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { openS3 } from '#bucket/s3.ts'
import { systemClock } from '#core/clock.ts'
import { runTercet, temporaryDirectory } from '../run-tercet.ts'
import { postWrite, writeBody } from '../write-request.ts'

const installed = ['radosgw', 'ceph-mon', 'ceph-osd'].every(name => spawnSync('which', [name]).status === 0)
if (!installed) console.log('SKIPPED: radosgw, ceph-mon and ceph-osd are not installed; the S3 bucket was not tested against a real server')

let server: ChildProcess | undefined
let endpoint = ''
const directory = temporaryDirectory()

/** Two neighbouring free ports: the server takes both. */
async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => { const address = probe.address(); probe.close(() => { resolve(typeof address === 'object' && address !== null ? address.port : 0) }) })
  })
}

const keys = { accessKeyId: 'test', secretAccessKey: 'testtesttest' }
const open = (bucket: string, overrides: Partial<typeof keys> = {}): Promise<Bucket> => openS3({ endpoint, region: 'minio', bucket, credentials: { isChanging: false, read: () => Promise.resolve({ ...keys, ...overrides }) }, pathStyle: true, clock: systemClock })

if (installed) {
  before(async () => {
    const port = await freePort()
    server = spawn('bash', ['tools/s3-server.sh', `${directory}/ceph`, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise<void>((resolve, reject) => {
      server!.stdout!.on('data', (chunk: Buffer) => { if (chunk.toString().includes('ready')) resolve() })
      server!.once('exit', code => { reject(new Error(`the S3 server ended with ${code}`)) })
    })
    endpoint = `http://127.0.0.1:${port}`
    const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: keys, requestChecksumCalculation: 'WHEN_REQUIRED' })
    for (const Bucket of ['suite', 'metrics', 'logs']) await client.send(new CreateBucketCommand({ Bucket }))
    client.destroy()
  }, { timeout: 180_000 })

  after(async () => {
    const ended = new Promise(resolve => server?.once('exit', resolve))
    server?.kill('SIGTERM')
    await ended
    rmSync(directory, { recursive: true, force: true })
  })

  bucketSuite('s3', () => open('suite'), 40_000_000)

  for (const durability of ['local', 'bucket']) {
    test(`${durability}: logs in S3 by Loki's keys; with the disk gone the answers are the same`, { timeout: 60_000 }, async () => {
      const flags = [`durability=${durability}`, `bucket.s3.endpoint=${endpoint}`, 'bucket.s3.region=minio', 'bucket.s3.allow_insecure=true', `bucket.s3.access_key_id=${keys.accessKeyId}`, `bucket.s3.secret_access_key=${keys.secretAccessKey}`, 'bucket.s3.bucket=metrics', 'logs.bucket.s3.bucket=logs', `bucket.s3.prefix=logs-${durability}`]
      const first = await runTercet(flags)
      const push = (line: string): Promise<Response> => fetch(`${first.url}/loki/api/v1/push`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ streams: [{ stream: { app: 's3' }, values: [[`${Date.now()}000000`, line]] }] }) })
      assert.equal((await push('before the flush')).status, 204)
      assert.equal((await fetch(`${first.url}/-/flush`, { method: 'POST' })).status, 204)
      assert.equal((await push('after the flush')).status, 204)
      const bucket = await open('logs')
      const keysThere = (await bucket.list(`logs-${durability}/`)).map(o => o.key.slice(durability.length + 6))
      assert.ok(keysThere.some(key => /^fake\/[0-9a-f]+\/[0-9a-f]+:[0-9a-f]+:[0-9a-f]+$/.test(key)), keysThere.join(' '))
      assert.ok(keysThere.some(key => /^index\/index_\d+\/fake\/\d+-compactor-\d+-\d+-[0-9a-f]+\.tsdb\.gz$/.test(key)), keysThere.join(' '))
      await first.stop()
      const second = await runTercet(flags)
      try {
        const reply = await fetch(`${second.url}/loki/api/v1/query_range?${new URLSearchParams({ query: '{app="s3"} |= "the flush"', direction: 'forward' }).toString()}`)
        const { data } = await reply.json() as { data: { result: { values: [string, string][] }[] } }
        assert.deepEqual(data.result.flatMap(s => s.values.map(v => v[1])), ['before the flush', 'after the flush'])
      } finally {
        await second.stop()
      }
    })
  }

  test('wrong credentials, a missing bucket, nobody there: the operation and the store\'s code', async () => {
    await assert.rejects((await open('suite', { secretAccessKey: 'wrong' })).list(''), /list failed: SignatureDoesNotMatch/)
    await assert.rejects((await open('nothere')).list(''), /list failed: NoSuchBucket/)
    const flags = (bucket: string, secret: string): string[] => [`bucket.s3.endpoint=${endpoint}`, 'bucket.s3.allow_insecure=true', `bucket.s3.bucket=${bucket}`, 'bucket.s3.access_key_id=test', `bucket.s3.secret_access_key=${secret}`]
    await assert.rejects(runTercet(flags('metrics', 'wrong')), /the bucket can't be used: list failed: .*SignatureDoesNotMatch/)
    await assert.rejects(runTercet(flags('nothere', keys.secretAccessKey)), /the bucket can't be used: list failed: .*NoSuchBucket/)
    await assert.rejects(runTercet([`bucket.s3.endpoint=${endpoint}`, 'bucket.s3.bucket=metrics']), /has no TLS; use https/)
  })

  for (const durability of ['local', 'bucket']) {
    test(`${durability}: blocks and log in S3; with the disk gone the answers are the same`, async () => {
      const flags = [`bucket.s3.endpoint=${endpoint}`, 'bucket.s3.allow_insecure=true', 'bucket.s3.bucket=metrics', `bucket.s3.prefix=${durability}`, 'bucket.s3.region=minio', 'bucket.s3.access_key_id=test', 'bucket.s3.secret_access_key=testtesttest', `durability=${durability}`]
      const now = Math.floor(Date.now() / 1000) * 1000
      const ask = async (url: string): Promise<unknown> => (await (await fetch(`${url}/api/v1/query?query=sum_over_time(s[1h])&time=${now / 1000}`)).json() as { data: unknown }).data
      let running = await runTercet(flags)
      for (let i = 0; i < 20; i++) assert.equal((await postWrite(running.url, writeBody([{ labels: [['__name__', 's'], ['i', String(i)]], samples: [[now - 1000 * (20 - i), i]] }]))).status, 204)
      if (durability === 'local') assert.equal((await fetch(`${running.url}/-/flush`, { method: 'POST' })).status, 204)
      const before = await ask(running.url)
      await running.stop()
      running = await runTercet(flags)
      assert.deepEqual(await ask(running.url), before)
      assert.equal((before as { result: unknown[] }).result.length, 20)
      await running.stop()
    })
  }
}
