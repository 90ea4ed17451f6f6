/** The files of certificates: read at the start, and again when they change, never two generations together. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { after, before, suite } from 'node:test'
import { connect } from 'node:tls'
import { systemFiles } from '#core/files.ts'
import { silentLog } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { certificateOf, hasOpenssl, makeCertificates } from '../../test/certificates.ts'
import { runTercet, temporaryDirectory, type Running } from '../../test/run-tercet.ts'
import { untilTrue } from '../../test/until.ts'
import { CertificateFiles } from './certificates.ts'
import { loadConfig } from './config.ts'

const directory = temporaryDirectory()
const generations = ['old', 'renewed'] as const
const shown = join(directory, 'shown')
const tlsFlags = [
  `tls.cert_file=${shown}/tls.crt`,
  `tls.key_file=${shown}/tls.key`,
  `tls.client_ca_file=${shown}/ca.crt`,
]
const configOf = (...more: string[]): ReturnType<typeof loadConfig> =>
  loadConfig({ environment: {}, flags: [...tlsFlags, ...more] })

/** As Kubernetes mounts a Secret: files are links into a directory that is a link itself, and that is replaced. */
function mount(generation: string): void {
  symlinkSync(join(directory, generation), join(shown, '..new'))
  renameSync(join(shown, '..new'), join(shown, '..data'))
}

function portOf(running: Running, name: string): number {
  const { address } = running.tercet.addresses.find(one => one.name === name)!
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

/** The serial number of what an address shows. */
async function serialAt(port: number, generation: (typeof generations)[number]): Promise<string> {
  const { ca, cert, key } = certificateOf(join(directory, generation), 'client')
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca, cert, key })
  await once(socket, 'secureConnect')
  const { serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return serialNumber
}

suite('files of certificates', hasOpenssl, () => {
  before(() => {
    mkdirSync(shown)
    for (const generation of generations) {
      const at = join(directory, generation)
      mkdirSync(at)
      makeCertificates(at, ['server', 'client'], 'IP:127.0.0.1,DNS:localhost')
      const { ca, cert, key } = certificateOf(at, 'server')
      for (const [name, text] of Object.entries({ 'tls.crt': cert, 'tls.key': key, 'ca.crt': ca }))
        writeFileSync(join(at, name), text)
    }
    mount('old')
    for (const name of ['tls.crt', 'tls.key', 'ca.crt']) symlinkSync(join('..data', name), join(shown, name))
  })
  after(() => {
    rmSync(directory, { recursive: true, force: true })
  })

  test('a Secret that is mounted again is taken within ten seconds at every address, a wrong one is not', async () => {
    mount('old')
    const clock = new VirtualClock(Date.now())
    const logged: string[] = []
    const log = {
      ...silentLog,
      info: (message: string) => void logged.push(message),
      error: (message: string) => void logged.push(message),
    }
    const more = ['listen.otlp_grpc=127.0.0.1:0', 'listen.syslog_tls=127.0.0.1:0', 'listen.health=127.0.0.1:0']
    const running = await runTercet([...tlsFlags, ...more], undefined, { clock, log })
    const ready = async (): Promise<string> => {
      const reply = await fetch(`http://127.0.0.1:${portOf(running, 'health')}/-/ready`)
      assert.equal(reply.status, 200)
      return reply.text()
    }
    try {
      const ports = ['http', 'otlp_grpc', 'syslog_tls'].map(name => portOf(running, name))
      const before = await Promise.all(ports.map(port => serialAt(port, 'old')))
      mount('renewed')
      await clock.advance(10_000)
      await untilTrue(() => logged.includes('new certificates are used'), 'new certificates')
      const renewed = await Promise.all(ports.map(port => serialAt(port, 'renewed')))
      for (const [i, serial] of renewed.entries()) assert.notEqual(serial, before[i])
      for (const port of ports) await assert.rejects(serialAt(port, 'old'))
      assert.deepEqual(
        logged.filter(line => /certificates/.test(line)),
        ['new certificates are used'],
      )
      assert.doesNotMatch(await ready(), /warning/)
      const broken = join(directory, 'broken')
      mkdirSync(broken)
      for (const [name, from] of [
        ['tls.crt', 'old'],
        ['tls.key', 'renewed'],
        ['ca.crt', 'old'],
      ] as const)
        symlinkSync(join(directory, from, name), join(broken, name))
      mount('broken')
      for (let look = 0; look < 3; look++) {
        await clock.advance(10_000)
        await untilTrue(() => logged.some(line => /are not used/.test(line)), 'a word about them')
      }
      assert.deepEqual(await Promise.all(ports.map(port => serialAt(port, 'renewed'))), renewed)
      assert.match(await ready(), /warning: .*are not used.*the private key is of another certificate/)
      assert.equal(logged.filter(line => /are not used/.test(line)).length, 1, 'once, not at every look')
      await assert.rejects(running.tercet.reload(), /the private key is of another certificate/)
      mount('old')
      await running.tercet.reload()
      assert.deepEqual(await Promise.all(ports.map(port => serialAt(port, 'old'))), before)
      assert.doesNotMatch(await ready(), /warning/)
    } finally {
      await running.stop()
    }
  })

  test('a certificate and a key of two generations are never taken together', async () => {
    mount('old')
    let reads = 0
    // Mounted again between the reading of one file and that of the next, at every place in turn.
    for (let at = 1; at <= 6; at++) {
      mount('old')
      reads = 0
      const files: typeof systemFiles = Object.create(systemFiles) as typeof systemFiles
      files.read = async path => {
        if (++reads === at) mount('renewed')
        return systemFiles.read(path)
      }
      const opened = await CertificateFiles.open(configOf(), files)
      const { cert, key, clientCa } = opened!.certificates.texts
      const whole = generations.some(generation => {
        const texts = certificateOf(join(directory, generation), 'server')
        return texts.cert.trim() === cert && texts.key.trim() === key && texts.ca.trim() === clientCa
      })
      assert.ok(whole, `mounted again before reading ${at}`)
    }
  })

  test('what was replaced stays so, although somebody began to read the files before and ends after', async () => {
    mount('old')
    const waiting: (() => void)[] = []
    let isSlow = false
    const files: typeof systemFiles = Object.create(systemFiles) as typeof systemFiles
    files.read = async path => {
      const bytes = await systemFiles.read(path)
      if (isSlow) await new Promise<void>(resolve => waiting.push(resolve))
      return bytes
    }
    const opened = (await CertificateFiles.open(configOf(), files))!
    isSlow = true
    const first = opened.look()
    // The last of its six reads has what the files had before.
    for (let i = 0; i < 6; i++) {
      await untilTrue(() => waiting.length === 1, 'a read')
      if (i < 5) waiting.pop()!()
    }
    isSlow = false
    mount('renewed')
    const second = opened.look()
    for (let i = 0; i < 20; i++) await systemFiles.read(join(shown, 'tls.crt'))
    waiting.pop()!()
    await Promise.all([first, second])
    assert.equal(opened.certificates.texts.cert, certificateOf(join(directory, 'renewed'), 'server').cert.trim())
  })

  test('files that are gone, and authorities that are empty, change nothing and are told', async () => {
    mount('old')
    const files = (await CertificateFiles.open(configOf(), systemFiles))!
    const before = files.certificates.texts
    const partial = join(directory, 'partial')
    mkdirSync(partial)
    for (const name of ['tls.crt', 'tls.key']) symlinkSync(join(directory, 'renewed', name), join(partial, name))
    mount('partial')
    assert.equal(await files.look(), false)
    assert.match(files.problem ?? '', /ca\.crt/)
    writeFileSync(join(partial, 'ca.crt'), '\n')
    assert.equal(await files.look(), false)
    assert.match(files.problem ?? '', /authorities of clients is empty/)
    assert.deepEqual(files.certificates.texts, before)
    mount('old')
    assert.equal(await files.look(), false)
    assert.equal(files.problem, undefined)
  })

  test('whether clients show certificates is said for all addresses, and for each', async () => {
    mount('old')
    const of = async (...flags: string[]): Promise<string[]> => {
      const files = (await CertificateFiles.open(configOf(...flags), systemFiles))!
      return (['http', 'otlp_grpc', 'syslog_tls'] as const).map(listener => files.of(listener).clientAuth)
    }
    assert.deepEqual(await of(), ['required', 'required', 'required'])
    assert.deepEqual(await of('tls.client_auth=optional'), ['optional', 'optional', 'optional'])
    assert.deepEqual(await of('tls.client_auth=none', 'tls.client_auth_listeners=syslog_tls=required'), [
      'none',
      'none',
      'required',
    ])
    assert.deepEqual(await of('tls.client_auth_listeners=http=none,otlp_grpc=optional'), [
      'none',
      'optional',
      'required',
    ])
    for (const flag of ['tls.client_auth=required', 'tls.client_auth_listeners=http=optional'])
      await assert.rejects(of('tls.client_ca_file=', flag), /needs tls\.client_ca_file/)
    for (const entry of ['http', 'http=all', 'syslog_udp=none', 'http=none=none'])
      assert.throws(() => configOf(`tls.client_auth_listeners=${entry}`), /is not one of http, otlp_http/)
  })
})
