/** A real S3 server (Ceph's RADOS gateway from Debian) for tests, with buckets in it. */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { freePort } from './free-port.ts'

export const cephKeys = { accessKeyId: 'test', secretAccessKey: 'testtesttest' } as const
export const isCephInstalled = ['radosgw', 'ceph-mon', 'ceph-osd'].every(
  name => spawnSync('which', [name]).status === 0,
)

export interface CephUser {
  accessKeyId: string
  secretAccessKey: string
  /** For policies. */
  arn: string
}

export interface Ceph {
  port: number
  endpoint: string
  client: S3Client
  /** One that owns nothing and may do nothing but what a policy says. */
  createUser(name: string): Promise<CephUser>
  stop(): Promise<void>
}

export async function startCeph(directory: string, buckets: readonly string[]): Promise<Ceph> {
  const port = await freePort()
  const server = spawn('bash', ['tools/s3-server.sh', directory, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<number | null>(resolve => server.once('exit', resolve))
  await new Promise<void>((resolve, reject) => {
    server.stdout.on('data', (chunk: Buffer) => {
      if (chunk.toString().includes('ready')) resolve()
    })
    server.once('exit', code => {
      reject(new Error(`the S3 server ended with ${code}`))
    })
  })
  const endpoint = `http://127.0.0.1:${port}`
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: cephKeys,
    requestChecksumCalculation: 'WHEN_REQUIRED',
  })
  for (const Bucket of buckets) await client.send(new CreateBucketCommand({ Bucket }))
  return {
    port,
    endpoint,
    client,
    async createUser(name) {
      const user = { accessKeyId: `key-of-${name}`, secretAccessKey: `secret-of-${name}` }
      const keys = [`--access-key=${user.accessKeyId}`, `--secret-key=${user.secretAccessKey}`]
      const create = ['user', 'create', `--uid=${name}`, `--display-name=${name}`, '--max-buckets=-1', ...keys]
      await promisify(execFile)('radosgw-admin', ['-c', join(directory, 'ceph.conf'), ...create])
      return { ...user, arn: `arn:aws:iam:::user/${name}` }
    },
    async stop() {
      client.destroy()
      server.kill('SIGTERM')
      await ended
    },
  }
}
