/** What `check bucket` and `bootstrap-s3` say of stores that refuse: what was refused, and what to do. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkBucket } from '../bucket-check.ts'
import { hasOpenssl, makeCertificates } from '../certificates.ts'
import { listening } from '../listening.ts'
import { runCommand } from '../run-cli.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import { S3Server, type S3Request, type Trouble } from '../s3-server.ts'

const flagsOf = (endpoint: string): string[] => [
  `bucket.s3.endpoint=${endpoint}`,
  'bucket.s3.bucket=b',
  'bucket.s3.access_key_id=a',
  'bucket.s3.secret_access_key=s',
  'bucket.s3.allow_insecure=true',
]

async function withTrouble(
  trouble: (request: S3Request) => Trouble | undefined,
  work: (store: S3Server) => Promise<void>,
): Promise<void> {
  const store = await S3Server.open()
  store.trouble = trouble
  try {
    await work(store)
  } finally {
    await store.close()
  }
}

const refusals: [status: number, code: string, said: RegExp][] = [
  [403, 'InvalidAccessKeyId', /^reach: the store does not know the access key .*bucket\.s3\.access_key_id/],
  [403, 'SignatureDoesNotMatch', /^reach: the secret does not belong to the access key .*secret_access_key/],
  [403, 'RequestTimeTooSkewed', /^reach: the store refuses the signature's time .* this machine's clock is .*NTP/],
  [403, 'AccessDenied', /^reach: the key may not do this with b .*it takes s3:ListBucket.*--policies=DIR/],
  [404, 'NoSuchBucket', /^reach: there is no bucket b \(NoSuchBucket\); tercet deploy bootstrap-s3 makes it/],
  [400, 'AuthorizationHeaderMalformed', /^reach: the store wants another region than us-east-1 .*bucket\.s3\.region/],
  [301, 'PermanentRedirect', /^reach: the store wants another region than us-east-1 /],
]
for (const [status, code, said] of refusals)
  test(`check bucket says what ${code} means, and what to do (req-066, req-145)`, async () => {
    const refuse = (): Trouble => ({ kind: 'refuse', status, code })
    await withTrouble(refuse, async store => {
      const { bad, code: exitCode } = await checkBucket(store.flags)
      assert.equal(exitCode, 1)
      assert.match(bad[0] ?? '', said)
      assert.equal(store.count('PUT'), 0)
    })
  })

test('a key that may put and not delete: the object that stays is named (req-066)', async () => {
  const isKept = ({ method, key }: S3Request): boolean => method === 'DELETE' && key.endsWith('/read')
  const refuse = (request: S3Request): Trouble | undefined =>
    isKept(request) ? { kind: 'refuse', status: 403, code: 'AccessDenied' } : undefined
  await withTrouble(refuse, async store => {
    const { bad } = await checkBucket(store.flags)
    const left = [...store.objects.keys()]
    assert.equal(left.length, 1)
    const lines = bad.filter(line => line.startsWith('left behind'))
    assert.equal(lines.length, 1)
    assert.equal(lines[0]?.startsWith(`left behind: ${left[0]} could not be removed: `), true, lines[0] ?? '')
    assert.match(lines[0] ?? '', /it takes s3:DeleteObject.*keys of an administrator/)
  })
})

test('a key that may not delete writes nothing (req-066)', async () => {
  const refuse = ({ method }: S3Request): Trouble | undefined =>
    method === 'DELETE' ? { kind: 'refuse', status: 403, code: 'AccessDenied' } : undefined
  await withTrouble(refuse, async store => {
    const { bad } = await checkBucket(store.flags)
    assert.match(bad.join('\n'), /^delete: .*it takes s3:DeleteObject.*nothing was written/)
    assert.deepEqual([store.objects.size, store.count('PUT'), store.count('POST')], [0, 0, 0])
  })
})

test(
  'an endpoint with another scheme, or with a certificate that nobody knows (req-062, req-145)',
  hasOpenssl,
  async () => {
    const work = temporaryDirectory()
    makeCertificates(work, ['store'], 'IP:127.0.0.1')
    const [key, cert] = [readFileSync(join(work, 'store.key')), readFileSync(join(work, 'store.pem'))]
    const server = createServer({ key, cert }, (_, reply) => reply.writeHead(404).end())
    const port = await listening(server)
    try {
      const plain = await checkBucket(flagsOf(`http://127.0.0.1:${port}`))
      assert.match(plain.bad[0] ?? '', /ends the connection without an answer .*use https:\/\//)
      const unknown = await checkBucket(flagsOf(`https://127.0.0.1:${port}`))
      assert.match(unknown.bad[0] ?? '', /signed by nobody that this machine trusts .*NODE_EXTRA_CA_CERTS=FILE/)
      // What is advised helps.
      const flags = flagsOf(`https://127.0.0.1:${port}`).map(flag => `--${flag}`)
      const trusted = await runCommand(['check', 'bucket', ...flags], {
        env: { NODE_EXTRA_CA_CERTS: join(work, 'ca.pem') },
      })
      assert.match(trusted.out, /there is no bucket b/)
      await withTrouble(
        () => undefined,
        async store => {
          const { bad } = await checkBucket(flagsOf(store.endpoint.replace('http:', 'https:')))
          assert.match(bad[0] ?? '', /does not speak TLS .*allow_insecure: true/)
        },
      )
    } finally {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
      rmSync(work, { recursive: true })
    }
  },
)

test('bootstrap-s3 says what was refused in one line (req-142, req-145)', async () => {
  const work = temporaryDirectory()
  const refuse = (): Trouble => ({ kind: 'refuse', status: 403, code: 'SignatureDoesNotMatch' })
  try {
    await withTrouble(refuse, async store => {
      writeFileSync(join(work, 'stack.yaml'), `s3: { endpoint: '${store.endpoint}', allow_insecure: true }\n`)
      const env = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 's' }
      const { code, err } = await runCommand(['deploy', 'bootstrap-s3', '--config', join(work, 'stack.yaml')], { env })
      assert.equal(code, 2)
      assert.match(err, /^tercet: the bucket mimir-blocks: the secret does not belong to the access key .*\n$/)
    })
  } finally {
    rmSync(work, { recursive: true })
  }
})
