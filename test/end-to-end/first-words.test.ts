/** What a process says when it is ready, that the commands it suggests work as they are printed, and its last words. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { runCommand } from '../run-cli.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import { until } from '../until.ts'

const directory = temporaryDirectory()
after(() => {
  rmSync(directory, { recursive: true, force: true })
})
const main = `${process.cwd()}/src/app/main.ts`

interface Said {
  out: string
  err: string
}

/** Runs `tercet up` in the directory until `look` is done, and ends it as Ctrl-C does. */
async function whileUp(flags: readonly string[], look: (out: string) => Promise<void> | void): Promise<Said> {
  const own = ['--listen.http=127.0.0.1:0', '--listen.otlp_http=127.0.0.1:0', '--listen.otlp_grpc=off']
  const child = spawn(process.execPath, [main, 'up', ...own, '--disk_free_min=0', ...flags], { cwd: directory })
  const said: Said = { out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (said.err += chunk.toString()))
  const closed = new Promise(resolve => child.once('close', resolve))
  try {
    await until(() => (/Grafana data sources.*\n/.test(said.out) ? true : undefined), 'the process is ready')
    await look(said.out)
  } finally {
    child.kill('SIGINT')
  }
  assert.equal(await closed, 0)
  return said
}

/** The answers of the curl commands that are printed, run by a shell. */
function answersOf(out: string): string[] {
  const commands = out.split('\n').filter(line => line.startsWith('  curl '))
  return commands.map(command => {
    const { status, stdout, stderr } = spawnSync('sh', ['-c', command.replace('curl', 'curl -sS -f')], {
      cwd: directory,
      encoding: 'utf8',
    })
    assert.equal(status, 0, `${command}: ${stderr}`)
    return stdout
  })
}

test('where data lies, where SDKs send to, and commands that find something; the end is told', async () => {
  const said = await whileUp([], async out => {
    assert.match(out, new RegExp(`^Data in ${directory}/data; Ctrl-C stops the process, and the data stays\\.$`, 'm'))
    const endpoint = /OTEL_EXPORTER_OTLP_ENDPOINT=(\S+) OTEL_EXPORTER_OTLP_PROTOCOL=http\/protobuf$/m.exec(out)?.[1]
    assert.ok(endpoint !== undefined && out.includes(`otlp_http  ${endpoint}\n`), out)
    const [up = '', pushed] = answersOf(out)
    assert.match(up, /"__name__":"up"/)
    assert.equal(pushed, '')
    const url = /http +(http:\S+)/.exec(out)![1]!
    const { err, out: lines } = await runCommand(['query', `--url=${url}`, '--logs', '{app="try"}'])
    assert.match(lines, / hello\n$/, err)
    // For the process that only reads, below.
    assert.equal((await fetch(`${url}/-/flush`, { method: 'POST' })).status, 204)
  })
  assert.match(said.err, /signal=SIGINT msg=stopping\n.*msg=stopped\n$/)
})

test('with credentials the commands have them, and a process that only reads suggests names', async () => {
  writeFileSync(`${directory}/token`, 'a-token')
  await whileUp(['--auth.bearer_token_file=token'], out => {
    assert.match(answersOf(out)[0] ?? '', /"__name__":"up"/)
  })
  await whileUp(['--auth.username=admin', '--auth.password_file=token'], out => {
    assert.match(out, /^ {2}curl -u admin 'http/m)
    assert.ok(!out.includes('a-token'))
  })
  const said = await whileUp(['--role=query'], out => {
    const answers = answersOf(out)
    assert.equal(answers.length, 1)
    assert.match(answers[0] ?? '', /"tercet_build_info"/)
  })
  assert.doesNotMatch(said.out, /Data in|OTEL_/)
})

test('signals that come while it starts are heeded when it has started', async () => {
  rmSync(`${directory}/data/tercet.pid`, { force: true })
  const own = ['--listen.http=127.0.0.1:0', '--listen.otlp_http=off', '--listen.otlp_grpc=off', '--disk_free_min=0']
  const child = spawn(process.execPath, [main, 'up', ...own], { cwd: directory })
  let err = ''
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
  const closed = new Promise(resolve => child.once('close', resolve))
  // It is written before the addresses are told.
  while (child.exitCode === null && !existsSync(`${directory}/data/tercet.pid`))
    await new Promise<void>(resolve => setImmediate(resolve))
  child.kill('SIGHUP')
  child.kill('SIGINT')
  assert.equal(await closed, 0, err)
  assert.match(err, /signal=SIGINT msg=stopping\n(?:.*\n)*.*msg=stopped\n$/)
  assert.ok(!existsSync(`${directory}/data/tercet.pid`))
})

test('the file of the configuration is named, also where nobody named it', async () => {
  writeFileSync(`${directory}/tercet.yaml`, 'logs.retention: 3d\n')
  const said = await whileUp([], () => {})
  rmSync(`${directory}/tercet.yaml`)
  assert.match(said.out, /^Configuration from tercet\.yaml$/m)
  assert.doesNotMatch((await whileUp([], () => {})).out, /Configuration from/)
})

test('a directory that another process has is told with the flag that names another', async () => {
  await whileUp([], async () => {
    const flags = ['--listen.http=127.0.0.1:0', '--listen.otlp_http=off', '--listen.otlp_grpc=off']
    const { code, err } = await runCommand(['up', ...flags], { cwd: directory })
    assert.equal(code, 1)
    assert.match(err, /is in use by process \d+; stop it, or name another directory \(--data_dir=…\)\n$/)
  })
})
