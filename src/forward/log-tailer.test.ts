/**
 * Log files of pods: partial lines, entries of several lines, rotation, restarts. A table of files and their entries.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { LogTailer, nanosecondsOf } from './log-tailer.ts'

const container = '/pods/shop_web-1_uid/app'
const file = `${container}/0.log`

class Fixture {
  readonly files = new MemoryFiles()
  readonly clock = new VirtualClock(0)
  readonly streams: { stream: Record<string, string>; values: [string, string][] }[] = []
  #runs = 0
  tailer = this.#make()

  #make(): LogTailer {
    const own = ++this.#runs
    return new LogTailer({
      clock: this.clock,
      files: this.files,
      log: silentLog,
      directory: '/pods',
      statePath: '/places.json',
      labels: { cluster: 'c' },
      isFirstLine: undefined,
      push: body => {
        // A tailer of before a restart belongs to a process that is gone.
        if (own !== this.#runs) return Promise.reject(new Error('gone'))
        const { streams } = JSON.parse(Buffer.from(body).toString()) as { streams: Fixture['streams'] }
        this.streams.push(...streams)
        return Promise.resolve()
      },
    })
  }

  /** Lines `<stream> <F or P> <text>`, one second apart. */
  async write(lines: readonly string[], path = file): Promise<void> {
    const text = lines.map((line, i) => `2026-11-28T12:00:0${i % 10}.5Z ${line}\n`).join('')
    const out = await this.files.openAppend(path)
    await out.append(Buffer.from(text))
  }
  async rename(from: string, to: string): Promise<void> {
    await this.files.writeAtomic(to, await this.files.read(from))
    await this.files.remove(from)
  }
  /** Polls, and lets entries of several lines end. */
  async settle(): Promise<void> {
    await this.clock.advance(5000)
  }
  entries(): string[] {
    return this.streams.flatMap(s => s.values.map(([, line]) => `${s.stream['stream']}: ${line}`))
  }
  async restart(): Promise<void> {
    this.tailer = this.#make()
    await this.tailer.start()
  }
}

const cases: readonly { name: string; lines: readonly string[]; entries: readonly string[] }[] = [
  { name: 'each whole line is an entry', lines: ['stdout F a', 'stderr F b'], entries: ['stdout: a', 'stderr: b'] },
  { name: 'partial lines are joined', lines: ['stdout P a', 'stdout P b', 'stdout F c'], entries: ['stdout: abc'] },
  { name: 'tags after the flag are ignored', lines: ['stdout F:x:y a b'], entries: ['stdout: a b'] },
  {
    name: 'lines that begin with a blank or a closing brace go on',
    lines: ['stdout F {', 'stdout F   "a": 1', 'stdout F }', 'stdout F next'],
    entries: ['stdout: {\n  "a": 1\n}', 'stdout: next'],
  },
  {
    name: 'an entry does not go on in the other stream',
    lines: ['stdout F a', 'stderr F  at b'],
    entries: ['stdout: a', 'stderr:  at b'],
  },
  {
    name: 'an empty line goes on',
    lines: ['stdout F a', 'stdout F ', 'stdout F b'],
    entries: ['stdout: a\n', 'stdout: b'],
  },
]
for (const { name, lines, entries } of cases)
  test(`entries: ${name}`, async () => {
    const f = new Fixture()
    await f.write(lines)
    await f.tailer.start()
    await f.settle()
    assert.deepEqual(f.entries().sort(), [...entries].sort())
    await f.tailer.stop()
  })

test('entries have the labels of their place, and times to the nanosecond', async () => {
  const f = new Fixture()
  await f.write(['stdout F a'])
  await f.tailer.start()
  await f.settle()
  assert.deepEqual(f.streams, [
    {
      stream: { cluster: 'c', namespace: 'shop', pod: 'web-1', container: 'app', stream: 'stdout' },
      values: [[`${Date.parse('2026-11-28T12:00:00Z') / 1000}500000000`, 'a']],
    },
  ])
  assert.equal(nanosecondsOf('2026-11-28T12:00:00.123456789+01:00').slice(-9), '123456789')
  await f.tailer.stop()
})

test('a line that is not ended waits for its end; lines that are no CRI lines are counted', async () => {
  const f = new Fixture()
  const out = await f.files.openAppend(file)
  await out.append(Buffer.from('nonsense\n\n2026-11-28T12:00:00Z stdout F ha'))
  await f.tailer.start()
  await f.settle()
  assert.deepEqual([f.entries(), f.tailer.malformed], [[], 1])
  await out.append(Buffer.from('lf\n'))
  await f.settle()
  assert.deepEqual(f.entries(), ['stdout: half'])
  await f.tailer.stop()
})

test('a rotated file is read to its end before the new one', async () => {
  const f = new Fixture()
  await f.write(['stdout F a', 'stdout F b'])
  await f.tailer.start()
  await f.settle()
  await f.write(['stdout F the last of the old file'])
  await f.rename(file, `${file}.20261128-120000`)
  await f.write(['stdout F c'])
  await f.settle()
  assert.deepEqual(
    f.entries(),
    ['a', 'b', 'the last of the old file', 'c'].map(line => `stdout: ${line}`),
  )
  await f.tailer.stop()
})

test('after a restart lines that were pushed are not read again, and an entry that was not ended is', async () => {
  const f = new Fixture()
  await f.write(['stdout F a', 'stdout F b'])
  await f.tailer.start()
  await f.clock.advance(600)
  assert.deepEqual(f.entries(), ['stdout: a'], 'b may go on')
  // The process ends without a stop.
  f.streams.length = 0
  await f.restart()
  await f.settle()
  assert.deepEqual([...new Set(f.entries())], ['stdout: b'])
  await f.tailer.stop()
})

test('a stop pushes the entries that wait', async () => {
  const f = new Fixture()
  await f.write(['stdout F a'])
  await f.tailer.start()
  await f.clock.advance(600)
  assert.deepEqual(f.entries(), [])
  await f.tailer.stop()
  assert.deepEqual(f.entries(), ['stdout: a'])
})

test('places that cannot be read mean the beginning', async () => {
  const f = new Fixture()
  await f.files.writeAtomic('/places.json', Buffer.from('{'))
  await f.write(['stdout F a'])
  await f.tailer.start()
  await f.settle()
  assert.deepEqual(f.entries(), ['stdout: a'])
  await f.tailer.stop()
})
