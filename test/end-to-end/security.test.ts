/** TLS, client certificates, credentials. Covers req-058, req-061, req-085, req-137. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { after, test } from 'node:test'
import { credentials, makeGenericClientConstructor } from '@grpc/grpc-js'
import { certificateOf, hasOpenssl, makeCertificates } from '../certificates.ts'
import { runCommand } from '../run-cli.ts'
import { runTercet, temporaryDirectory } from '../run-tercet.ts'
import { postWrite, writeBody } from '../write-request.ts'

const directory = temporaryDirectory()
after(() => {
  rmSync(directory, { recursive: true, force: true })
})
const file = (name: string): string => `${directory}/${name}`
interface Got {
  status: number
  text: string
}
function get(url: string, tls: { ca?: string; cert?: string; key?: string }): Promise<Got> {
  return new Promise((resolve, reject) => {
    const call = request(url, { ...tls, agent: false }, reply => {
      let text = ''
      reply.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      reply.on('end', () => {
        resolve({ status: reply.statusCode ?? 0, text })
      })
    })
    call.on('error', reject)
    call.end()
  })
}

test(
  'with a certificate every address speaks TLS only; with an authority only its clients get in (req-061, req-137)',
  hasOpenssl,
  async () => {
    makeCertificates(directory, ['server', 'client'], 'IP:127.0.0.1,DNS:localhost')
    const { ca, cert, key } = certificateOf(directory, 'client')
    const flags = [
      `tls.cert_file=${file('server.pem')}`,
      `tls.key_file=${file('server.key')}`,
      'listen.otlp_grpc=127.0.0.1:0',
    ]
    let running = await runTercet(flags)
    after(() => running.stop())
    assert.match(running.url, /^https:/)
    assert.deepEqual(await get(`${running.url}/health`, { ca }), { status: 200, text: 'OK' })
    await assert.rejects(fetch(running.url.replace('https', 'http')), 'plaintext is refused')
    await assert.rejects(get(`${running.url}/health`, {}), /self-signed|unable to (get|verify)/)
    const grpcAddress = running.tercet.addresses.find(a => a.name === 'otlp_grpc')!.address
    assert.equal(await exportOverGrpc(grpcAddress, credentials.createSsl(Buffer.from(ca))), 0)
    await running.stop()
    running = await runTercet([...flags, `tls.client_ca_file=${file('ca.pem')}`])
    assert.equal((await get(`${running.url}/health`, { ca, cert, key })).status, 200)
    await assert.rejects(get(`${running.url}/health`, { ca }))
    await running.stop()
    // Probes have no certificate: an address of their own answers health and nothing else, also with credentials on.
    writeFileSync(file('token'), 'secret')
    const probed = [`auth.bearer_token_file=${file('token')}`, 'listen.health=127.0.0.1:0']
    running = await runTercet([...flags, `tls.client_ca_file=${file('ca.pem')}`, ...probed])
    const health = running.tercet.addresses.find(a => a.name === 'health')!.address
    for (const path of ['/health', '/ready', '/-/healthy', '/-/ready'])
      assert.equal((await fetch(`http://${health}${path}`)).status, 200, path)
    for (const path of ['/metrics', '/', '/api/v1/query?query=1', '/-/flush'])
      assert.equal((await fetch(`http://${health}${path}`)).status, 404, path)
    const keys = [...flags, `tls.client_ca_file=${file('ca.pem')}`, `listen.health=${health}`].map(flag => `--${flag}`)
    const check = await runCommand(['healthcheck', ...keys])
    assert.equal(check.code, 0, check.err)
    await running.stop()
  },
)

function exportOverGrpc(address: string, channel: ReturnType<typeof credentials.createInsecure>): Promise<number> {
  const asIs = (bytes: Buffer): Buffer => bytes
  const Client = makeGenericClientConstructor(
    {
      Export: {
        path: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
        requestStream: false,
        responseStream: false,
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    },
    'MetricsService',
  )
  const client = new Client(address, channel, {
    'grpc.ssl_target_name_override': 'localhost',
    'grpc.default_authority': 'localhost',
  })
  return new Promise(resolve => {
    client['makeUnaryRequest'](
      '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
      asIs,
      asIs,
      Buffer.alloc(0),
      (error: { code: number } | null) => {
        client.close()
        resolve(error?.code ?? 0)
      },
    )
  })
}

test('credentials: probes get in without, everything else with the right ones only (req-058, req-085)', async () => {
  writeFileSync(file('password'), 'open sesame\n')
  writeFileSync(file('token'), 'a-token\n')
  const running = await runTercet([
    'auth.username=admin',
    `auth.password_file=${file('password')}`,
    `auth.bearer_token_file=${file('token')}`,
    'listen.otlp_grpc=127.0.0.1:0',
  ])
  const status = async (path: string, authorization?: string): Promise<number> =>
    (await fetch(running.url + path, authorization === undefined ? {} : { headers: { authorization } })).status
  for (const path of ['/health', '/-/healthy', '/-/ready', '/ready']) assert.equal(await status(path), 200, path)
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`
  for (const path of ['/api/v1/query?query=1', '/metrics', '/api/v1/labels', '/nothing']) {
    assert.equal(await status(path), 401, path)
    assert.equal(await status(path, basic('admin:wrong')), 401, path)
    assert.equal(await status(path, 'Bearer wrong'), 401, path)
    assert.notEqual(await status(path, basic('admin:open sesame')), 401, path)
    assert.notEqual(await status(path, 'Bearer a-token'), 401, path)
  }
  const refused = await fetch(`${running.url}/api/v1/query?query=1`)
  assert.equal(refused.headers.get('www-authenticate'), 'Basic realm="tercet", charset="UTF-8"')
  assert.equal(await refused.text(), '401: credentials are missing: send an Authorization header\n')
  const body = writeBody([{ labels: [['__name__', 'secured']], samples: [[Date.now(), 1]] }])
  assert.equal((await postWrite(running.url, body)).status, 401)
  assert.equal((await postWrite(running.url, body, { authorization: 'Bearer a-token' })).status, 204)
  const grpcAddress = running.tercet.addresses.find(a => a.name === 'otlp_grpc')!.address
  assert.equal(await exportOverGrpc(grpcAddress, credentials.createInsecure()), 16)
  await running.stop()
})

test('verbs of the command line get in with credentials from files, and say which flags name them', async () => {
  writeFileSync(file('password'), 'open sesame\n')
  writeFileSync(file('token'), 'a-token\n')
  const running = await runTercet([
    'auth.username=admin',
    `auth.password_file=${file('password')}`,
    `auth.bearer_token_file=${file('token')}`,
  ])
  const basic = ['--username=admin', `--password-file=${file('password')}`]
  const bearer = [`--bearer-token-file=${file('token')}`]
  try {
    const body = writeBody([{ labels: [['__name__', 'secured']], samples: [[Date.now(), 7]] }])
    assert.equal((await postWrite(running.url, body, { authorization: 'Bearer a-token' })).status, 204)
    const url = `--url=${running.url}`
    for (const known of [basic, bearer])
      assert.match((await runCommand(['query', url, ...known, 'secured'])).out, /^secured\{\} => 7 /)
    assert.equal((await runCommand(['top', url, ...basic, '--once', '--interval=10ms'])).code, 0)
    const flags = '--username and --password-file, or --bearer-token-file'
    const missing = `tercet: ${running.url} asks for credentials: ${flags}\n`
    for (const verb of [
      ['query', 'secured'],
      ['query', '--logs', '{a="b"}'],
      ['query', '--traces', '{ }'],
      ['tail', '{a="b"}'],
      ['top', '--once'],
      ['diff', '--base=2m/now', '--head=1m'],
    ]) {
      const { code, err, out } = await runCommand([...verb, url])
      assert.deepEqual([err, out], [missing, ''], verb.join(' '))
      assert.notEqual(code, 0)
    }
    const wrong = await runCommand(['query', url, `--bearer-token-file=${file('password')}`, 'secured'])
    assert.equal(wrong.err, `tercet: ${running.url} refuses these credentials\n`)
    const inUrl = await runCommand(['query', `--url=${running.url.replace('//', '//admin:secret@')}`, 'secured'])
    assert.match(inUrl.err, /^tercet: --url is an address without credentials: they are --username and /)
    assert.doesNotMatch(inUrl.err, /secret/)
  } finally {
    await running.stop()
  }
})

test('an address with the wrong one of http:// and https:// is told', hasOpenssl, async () => {
  makeCertificates(directory, ['server'], 'IP:127.0.0.1')
  const guarded = await runTercet([`tls.cert_file=${file('server.pem')}`, `tls.key_file=${file('server.key')}`])
  const open = await runTercet()
  try {
    const plain = guarded.url.replace('https:', 'http:')
    const secure = open.url.replace('http:', 'https:')
    const said = async (url: string): Promise<string> => (await runCommand(['query', `--url=${url}`, 'up'])).err
    assert.match(await said(plain), /where it speaks TLS, the address is https:\/\//)
    assert.match(await said(secure), /it does not speak TLS: the address is http:\/\//)
  } finally {
    await guarded.stop()
    await open.stop()
  }
})

test('settings that do not go together are refused', async () => {
  await assert.rejects(runTercet(['auth.username=admin']), /auth\.username and auth\.password_file go together/)
  writeFileSync(file('some'), 'x')
  await assert.rejects(runTercet([`tls.cert_file=${file('some')}`]), /tls\.cert_file and tls\.key_file go together/)
})
