/** A real S3 server (Ceph's RADOS gateway from Debian) for tests, with buckets in it. */
import { spawn, spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { listening } from './listening.ts'

export const cephKeys = { accessKeyId: 'test', secretAccessKey: 'testtesttest' } as const
export const isCephInstalled = ['radosgw', 'ceph-mon', 'ceph-osd'].every(
  name => spawnSync('which', [name]).status === 0,
)

export interface Ceph {
  port: number
  endpoint: string
  client: S3Client
  stop(): Promise<void>
}

/** The server takes the port and the next one. */
async function freePort(): Promise<number> {
  const probe = createServer()
  const port = await listening(probe)
  await new Promise(resolve => probe.close(resolve))
  return port
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
    async stop() {
      client.destroy()
      server.kill('SIGTERM')
      await ended
    },
  }
}
