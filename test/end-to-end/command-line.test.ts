/** Failures that an operator can mend: one line that names the file or the address, the exit code, and no stack. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { freePort } from '../free-port.ts'
import { runCommand } from '../run-cli.ts'

const work = mkdtempSync(join(tmpdir(), 'tercet-command-line-'))
let server: Server
/** Of a process that is alive: it answers /health, and /-/ready with `readyStatus`. */
let takenPort = 0
let readyStatus = 503
/** Nobody listens there. */
let freedPort = 0

before(async () => {
  server = createServer((request, reply) => {
    reply.statusCode = request.url === '/health' ? 200 : request.url === '/-/ready' ? readyStatus : 404
    reply.end('no JSON')
  })
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  takenPort = (server.address() as AddressInfo).port
  freedPort = await freePort()
  writeFileSync(join(work, 'plain'), 'no directory, and no certificate\n')
  writeFileSync(join(work, 'rules.yml'), 'groups: [{ name: g, rules: [{ record: "a:b", expr: up }] }]\n')
})
after(() => {
  server.close()
  rmSync(work, { recursive: true, force: true })
})

/** $TAKEN, $FREE: ports; $WORK: a directory. */
function filled(text: string): string {
  return text.replaceAll('$TAKEN', String(takenPort)).replaceAll('$FREE', String(freedPort)).replaceAll('$WORK', work)
}

interface Case {
  args: string
  code: 1 | 2
  error: string
}

async function check({ args, code, error }: Case): Promise<void> {
  const result = await runCommand(filled(args).split(' '), { cwd: process.cwd(), env: { NO_COLOR: '1' } })
  assert.deepEqual({ code: result.code, error: result.err }, { code, error: `tercet: ${filled(error)}\n` })
}

const up =
  'up --data_dir=$WORK/data --listen.http=127.0.0.1:0 --listen.otlp_http=off --listen.otlp_grpc=off ' +
  '--disk_free_min=0 --log.level=error'
const starts: readonly Case[] = [
  { args: 'up --config=$WORK/nosuch.yaml', code: 2, error: '--config=$WORK/nosuch.yaml: no such file' },
  {
    args: `${up} --tls.cert_file=$WORK/nosuch.pem --tls.key_file=$WORK/nosuch.key`,
    code: 2,
    error: 'flag --tls.cert_file: $WORK/nosuch.pem: no such file or directory; create it, or name another',
  },
  {
    args: `${up} --auth.username=a --auth.password_file=$WORK/nosuch`,
    code: 2,
    error: 'flag --auth.password_file: $WORK/nosuch: no such file or directory; create it, or name another',
  },
  {
    args: up.replace('$WORK/data', '$WORK/plain/data'),
    code: 1,
    error: 'flag --data_dir: $WORK/plain/data: a part of the path is no directory; name another',
  },
  {
    args: `${up} --listen.http=127.0.0.1:99999`,
    code: 2,
    error: 'flag --listen.http: listen.http: "127.0.0.1:99999" has a port beyond 65535',
  },
  {
    args: `${up} --listen.http=127.0.0.1:$TAKEN`,
    code: 1,
    error:
      "could not start the addresses: can't listen at 127.0.0.1:$TAKEN: another process listens there; " +
      'stop it, or choose another port (--listen.http=…)',
  },
  {
    args: up.replace('otlp_grpc=off', 'otlp_grpc=127.0.0.1:$TAKEN'),
    code: 1,
    error:
      "could not start the addresses: can't listen at 127.0.0.1:$TAKEN: another process listens there; " +
      'stop it, or choose another port (--listen.otlp_grpc=…)',
  },
  {
    args: `${up} --role=agent --listen.http=127.0.0.1:$TAKEN`,
    code: 1,
    error:
      "could not start the addresses: can't listen at 127.0.0.1:$TAKEN: another process listens there; " +
      'stop it, or choose another port (--listen.http=…)',
  },
]
for (const one of starts) test(`${one.args.replace(up, 'up')}: one line, exit code ${one.code}`, () => check(one))

test('a certificate that is none: one line that names the keys', async () => {
  const args = filled(`${up} --tls.cert_file=$WORK/plain --tls.key_file=$WORK/plain`).split(' ')
  const { code, err } = await runCommand(args)
  assert.equal(code, 2)
  assert.match(err, /^tercet: tls\.cert_file, tls\.key_file, [^\n]*: the certificate can't be read: [^\n]*\n$/)
})

const url = 'http://127.0.0.1:$FREE'
const refused = 'connect ECONNREFUSED 127.0.0.1:$FREE'
const advice = 'is it running, and is the address right?'
const clients: readonly Case[] = [
  { args: `query --url=${url} up`, code: 1, error: `${url} can't be reached: ${refused}; ${advice}` },
  { args: `query --url=${url} --since=1h up`, code: 1, error: `${url} can't be reached: ${refused}; ${advice}` },
  { args: `query --url=${url} --logs {a="b"}`, code: 1, error: `${url} can't be reached: ${refused}; ${advice}` },
  { args: `query --url=${url} --traces {}`, code: 1, error: `${url} can't be reached: ${refused}; ${advice}` },
  { args: `tail --url=${url} {a="b"}`, code: 1, error: `${url} can't be reached: ${refused}` },
  { args: `top --url=${url} --once`, code: 1, error: `${url} can't be reached: ${refused}; ${advice}` },
  {
    args: `rules replay --url=${url} $WORK/rules.yml`,
    code: 1,
    error: `${url} can't be reached: ${refused}; ${advice}`,
  },
  { args: `healthcheck --url=${url}/ready`, code: 1, error: `${url}/ready can't be reached: ${refused}` },
  {
    args: `import --from=victoriametrics ${url} --state=$WORK/state.json`,
    code: 2,
    error: `${url} can't be reached: ${refused}; begun again, the import goes on here`,
  },
  {
    args: `import --from=prometheus $WORK --data_dir=$WORK/data --url=${url} --json`,
    code: 1,
    error: `${url} can't be reached: ${refused}; ${advice}`,
  },
  {
    args: 'query --url=http://127.0.0.1:$TAKEN up',
    code: 1,
    error: 'http://127.0.0.1:$TAKEN/api/v1/query answered 404, and not in JSON: no JSON',
  },
]
for (const one of clients) test(`${one.args}: says who can't be reached, and why`, () => check(one))

test("check stack says who can't be reached, and why", async () => {
  const { code, out } = await runCommand(['check', 'stack', filled(url)])
  assert.equal(code, 1)
  for (const signal of ['metrics', 'logs', 'traces']) assert.ok(out.includes(`${signal}: health`.padEnd(38)), out)
  assert.ok(out.includes(filled(`${url} can't be reached: ${refused}`)), out)
})

test('buckets in directories that are not there are told, and not called empty', async () => {
  const flags = ['traces', 'logs'].map(signal => `--${signal}.bucket.dir=${work}`)
  const missing = `${work}/nosuch/metrics: no such directory`
  const check = await runCommand(['check', 'bucket', '--role=query', `--bucket.dir=${work}/nosuch`, ...flags])
  assert.equal(check.code, 1)
  assert.ok(check.out.includes(missing), check.out)
  // A signal whose bucket nobody named.
  const others = ['metrics', 'traces'].map(signal => `--${signal}.bucket.dir=${work}`)
  assert.equal((await runCommand(['check', 'bucket', '--role=query', `--data_dir=${work}/none`, ...others])).code, 0)
  const shown = await runCommand(['inspect', `--bucket.dir=${work}/nosuch`])
  assert.ok(shown.out.includes(`${missing}\n`), shown.out)
})

test('healthcheck means ready, not alive', async () => {
  const args = ['healthcheck', filled('--listen.http=0.0.0.0:$TAKEN')]
  readyStatus = 503
  const starting = await runCommand(args, { cwd: work })
  assert.deepEqual([starting.code, starting.err], [1, filled('tercet: http://127.0.0.1:$TAKEN/-/ready answered 503\n')])
  readyStatus = 200
  assert.equal((await runCommand(args, { cwd: work })).code, 0)
  readyStatus = 503
  assert.equal((await runCommand(['healthcheck', filled('--url=http://127.0.0.1:$TAKEN/health')])).code, 0)
})

/** npm beside a Node that is older than packages want: the machine's own. */
const ownNpm = (process.env['PATH'] ?? '')
  .split(':')
  .filter(directory => !directory.includes('node_modules') && existsSync(join(directory, 'npm')))
  .find(directory => {
    const { stdout } = spawnSync(join(directory, 'node'), ['--version'], { encoding: 'utf8' })
    return /^v(1\d|20|21)\./.test(stdout ?? '')
  })

test(
  'npm ci under an old Node warns of nothing',
  { skip: ownNpm === undefined ? 'NOT TESTED: no npm with a Node older than 22' : false },
  () => {
    const { status, stdout, stderr } = spawnSync(
      join(ownNpm ?? '', 'npm'),
      ['ci', '--dry-run', '--offline', '--ignore-scripts'],
      { encoding: 'utf8', env: { ...process.env, PATH: ownNpm } },
    )
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, stdout)
  },
)

test('tools name no host that packages are fetched from: the machine is set to its own', () => {
  for (const name of readdirSync('tools').filter(file => file.endsWith('.sh')))
    assert.doesNotMatch(
      readFileSync(join('tools', name), 'utf8'),
      /https?:\/\/(?!127\.0\.0\.1|localhost)[\w-]+\.\w/,
      name,
    )
})
