/**
 * Log files of pods: partial lines, entries of several lines, rotation, restarts. A table of files and their entries.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { nanosecondsOf } from './joined-lines.ts'
import { LogTailer, type LogStream } from './log-tailer.ts'

const container = '/pods/shop_web-1_uid/app'
const file = `${container}/0.log`
const lineBytesMax = 256 * 1024

/** Calls `before` ahead of every look at a file or a directory. */
class WatchedFiles extends MemoryFiles {
  before: () => Promise<void> = () => Promise.resolve()
  beforeAt: (path: string) => Promise<void> = () => Promise.resolve()

  override async list(directory: string): Promise<string[]> {
    await this.before()
    await this.beforeAt(directory)
    return super.list(directory)
  }
  override async listDirectories(directory: string): Promise<string[]> {
    await this.beforeAt(directory)
    return super.listDirectories(directory)
  }
  override async size(path: string): Promise<number> {
    await this.before()
    await this.beforeAt(path)
    return super.size(path)
  }
  override async readRange(path: string, offset: number, length: number): Promise<Uint8Array> {
    await this.before()
    const { bytes, length: size } = this.entries.get(path) ?? { bytes: new Uint8Array(0), length: 0 }
    return bytes.slice(offset, Math.min(size, offset + length))
  }
}

class Fixture {
  readonly files = new WatchedFiles()
  readonly clock = new VirtualClock(0)
  readonly streams: LogStream[] = []
  /** The queue refuses what is pushed. */
  isFull = false
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
      lineBytesMax,
      push: streams => {
        // A tailer of before a restart belongs to a process that is gone.
        if (own !== this.#runs) return Promise.reject(new Error('gone'))
        if (this.isFull) return Promise.reject(new Error('no space left on the disk'))
        this.streams.push(...structuredClone(streams))
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
  /** Bytes as they are. */
  async append(text: string, path = file): Promise<void> {
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
    return this.streams.flatMap(s => s.values.map(([, line]) => `${s.stream['stream'] ?? ''}: ${line}`))
  }
  /** The process ends without a stop, and begins again. */
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
    name: 'partial lines of two streams are joined each by itself',
    lines: ['stdout P {"i":9,"msg":"AAAA', 'stderr P EEEE', 'stdout F BBBB"}', 'stderr F FFFF'],
    entries: ['stdout: {"i":9,"msg":"AAAABBBB"}', 'stderr: EEEEFFFF'],
  },
  {
    name: 'entries of several lines in two streams at once',
    lines: ['stdout F a', 'stderr F b', 'stdout F  a2', 'stderr F  b2', 'stdout P  a', 'stderr F c', 'stdout F 3'],
    entries: ['stdout: a\n a2\n a3', 'stderr: b\n b2', 'stderr: c'],
  },
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

test('a line that is not ended waits for its end; lines that are no CRI lines are kept as they are', async () => {
  const f = new Fixture()
  await f.append('no cri at all\n\nno cri at all\n2026-11-28T12:00:00Z stdout F ha')
  await f.clock.advance(1000)
  await f.tailer.start()
  await f.settle()
  assert.deepEqual([f.entries(), f.tailer.malformed], [[': no cri at all', ': no cri at all'], 2])
  // At the time of reading, and each at its own: equal lines at one time would be one.
  assert.deepEqual(
    f.streams.flatMap(s => s.values.map(([time]) => time)),
    ['1500000000', '1500000001'],
  )
  assert.deepEqual(f.streams[0]?.stream, { cluster: 'c', namespace: 'shop', pod: 'web-1', container: 'app' })
  await f.append('lf\n')
  await f.settle()
  assert.deepEqual(f.entries().slice(2), ['stdout: half'])
  await f.tailer.stop()
})

const longLines: readonly { name: string; write: (text: string) => string }[] = [
  { name: 'one line', write: text => `2026-11-28T12:00:00Z stdout F ${text}\n` },
  {
    name: 'partial lines',
    write: text =>
      (text.match(/[^]{1,16000}/gu) ?? []).map(part => `2026-11-28T12:00:00Z stdout P ${part}\n`).join('') +
      '2026-11-28T12:00:00Z stdout F \n',
  },
  { name: 'no CRI line', write: text => `${text}\n` },
]
for (const { name, write } of longLines)
  test(`a line that is longer than receivers take goes in parts, and nothing of it is lost: ${name}`, async () => {
    for (const [unit, length] of [
      ['x', lineBytesMax],
      ['x', lineBytesMax + 1],
      ['ü€😀', 100_000],
      ['long ', 500_000],
    ] as const) {
      const f = new Fixture()
      const text = unit.repeat(length / (unit === 'x' ? 1 : unit.length))
      await f.append(`2026-11-28T11:59:59Z stdout F before\n${write(text)}2026-11-28T12:00:01Z stdout F after\n`)
      await f.tailer.start()
      await f.settle()
      await f.tailer.stop()
      const values = f.streams.flatMap(s => s.values)
      assert.ok(values.every(([, line]) => Buffer.byteLength(line) <= lineBytesMax))
      assert.equal(new Set(values.map(([time]) => time)).size, values.length, 'each part has a time of its own')
      const joined = [...values].sort(([a], [b]) => (BigInt(a) < BigInt(b) ? -1 : 1)).map(([, line]) => line)
      const lines = joined.filter(line => line !== 'before' && line !== 'after')
      assert.equal(lines.join('') === text, true, `${unit} ${length}`)
      assert.deepEqual(joined.length - lines.length, 2)
      assert.equal(f.tailer.split, Buffer.byteLength(text) > lineBytesMax ? 1 : 0)
    }
  })

test('lines that the queue does not take are pushed again, and are not passed over by a restart', async () => {
  for (const isRestarted of [false, true]) {
    const f = new Fixture()
    await f.write(['stdout F a', 'stdout F b'])
    await f.tailer.start()
    f.isFull = true
    await f.settle()
    await f.write(['stdout F c'])
    await f.settle()
    assert.deepEqual(f.entries(), [])
    f.isFull = false
    if (isRestarted) await f.restart()
    await f.settle()
    await f.settle()
    assert.deepEqual(f.entries(), ['stdout: a', 'stdout: b', 'stdout: c'])
    await f.tailer.stop()
  }
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

test('partial lines are joined over rotation, and over restarts wherever they are', async () => {
  const rows = [
    'stdout P a1',
    'stderr P b1',
    'stdout P a2',
    'stderr F b2',
    'stdout F a3',
    'stderr F c',
    'stdout P d1',
    'stdout F d2',
  ]
  const wanted = ['stderr: b1b2', 'stderr: c', 'stdout: a1a2a3', 'stdout: d1d2']
  for (let at = 1; at < rows.length; at++)
    for (const event of ['restart', 'rotation', 'restart and rotation'] as const) {
      const f = new Fixture()
      await f.write(['stdout F zero', ...rows.slice(0, at)])
      await f.tailer.start()
      await f.settle()
      if (event !== 'restart') await f.rename(file, `${file}.20261128-120000`)
      if (event !== 'rotation') await f.restart()
      await f.write(rows.slice(at))
      await f.settle()
      await f.tailer.stop()
      // A line whose place could not be written down before the end comes twice, at one time: receivers keep one.
      const unique = [...new Set(f.streams.flatMap(s => s.values.map(v => `${s.stream['stream']}: ${v[1]}`)))]
      assert.deepEqual(unique.filter(line => line !== 'stdout: zero').sort(), wanted, `${event} after row ${at}`)
    }
})

test('rotated files are known by their names, however long the new ones are; several are read in order', async () => {
  const f = new Fixture()
  await f.write(['stdout F first'])
  await f.rename(file, `${file}.20261128-115900`)
  await f.write(['stdout F a'])
  await f.tailer.start()
  await f.settle()
  await f.write(['stdout F end of a'])
  await f.rename(file, `${file}.20261128-120000`)
  await f.write(['stdout F b', 'stdout F b2'])
  await f.rename(file, `${file}.20261128-120100`)
  await f.write(['stdout F c', 'stdout F c2', 'stdout F c3', 'stdout F c4'])
  await f.settle()
  assert.deepEqual(
    f.entries(),
    ['first', 'a', 'end of a', 'b', 'b2', 'c', 'c2', 'c3', 'c4'].map(line => `stdout: ${line}`),
  )
  await f.tailer.stop()
})

test('a file that is renamed at any moment of a look at it loses nothing, and nothing comes twice', async () => {
  for (let at = 0; at < 16; at++)
    for (const lines of [1, 30]) {
      const f = new Fixture()
      await f.write(['stdout F a', 'stdout F b'])
      await f.tailer.start()
      await f.settle()
      await f.write(['stdout F c'])
      const { files } = f
      let looks = 0
      files.before = async () => {
        if (looks++ !== at) return
        await f.write(['stdout F d'])
        await f.rename(file, `${file}.20261128-120000`)
        await f.write(Array.from({ length: lines }, (_, i) => `stdout F new ${i}`))
      }
      await f.settle()
      files.before = () => Promise.resolve()
      await f.settle()
      const fresh = Array.from({ length: lines }, (_, i) => `new ${i}`)
      assert.deepEqual(
        f.entries(),
        ['a', 'b', 'c', 'd', ...fresh].map(line => `stdout: ${line}`),
        `at look ${at}`,
      )
      await f.tailer.stop()
    }
})

test('what a file ends with is kept when it is gone, or was rotated without an end of its line', async () => {
  const f = new Fixture()
  await f.write(['stdout F a', 'stdout P begun'])
  await f.tailer.start()
  await f.settle()
  await f.files.remove(file)
  await f.settle()
  assert.deepEqual(f.entries(), ['stdout: a', 'stdout: begun'])
  const other = '/pods/shop_web-2_uid/app/0.log'
  await f.append('2026-11-28T12:00:00Z stdout F torn', other)
  await f.settle()
  await f.rename(other, `${other}.20261128-120000`)
  await f.write(['stdout F next'], other)
  await f.settle()
  assert.deepEqual(f.entries().slice(2), ['stdout: torn', 'stdout: next'])
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

test('places that an earlier version wrote are offsets', async () => {
  const f = new Fixture()
  await f.write(['stdout F a', 'stdout F b'])
  await f.files.writeAtomic('/places.json', Buffer.from(JSON.stringify({ [file]: (await f.files.size(file)) / 2 })))
  await f.tailer.start()
  await f.settle()
  assert.deepEqual(f.entries(), ['stdout: b'])
  await f.tailer.stop()
})

test('places that cannot be read mean the beginning', async () => {
  for (const places of [
    '{',
    'null',
    '7',
    JSON.stringify({ [file]: null }),
    JSON.stringify({ [file]: { offset: 'x' } }),
  ]) {
    const f = new Fixture()
    await f.files.writeAtomic('/places.json', Buffer.from(places))
    await f.write(['stdout F a'])
    await f.tailer.start()
    await f.settle()
    assert.deepEqual(f.entries(), ['stdout: a'], places)
    await f.tailer.stop()
  }
})

test('while places can not be written down, lines go on', async () => {
  const f = new Fixture()
  await f.write(['stdout F a'])
  f.files.onOperation = operation => {
    if (operation === 'write') throw new Error('ENOSPC')
  }
  await f.tailer.start()
  await f.settle()
  await f.write(['stdout F b'])
  await f.settle()
  assert.deepEqual(f.entries(), ['stdout: a', 'stdout: b'])
  f.files.onOperation = () => undefined
  await f.write(['stdout F c'])
  await f.settle()
  await f.restart()
  await f.settle()
  assert.deepEqual(f.entries(), ['stdout: a', 'stdout: b', 'stdout: c'])
  await f.tailer.stop()
})

test('what can not be read keeps no other file waiting, and goes on where it was', async () => {
  const other = '/pods/shop_web-2_uid/app/0.log'
  for (const broken of [file, container, '/pods/shop_web-1_uid']) {
    const f = new Fixture()
    await f.write(['stdout F a', 'stdout P begun '])
    await f.tailer.start()
    await f.settle()
    f.files.beforeAt = path => (path === broken ? Promise.reject(new Error('EACCES')) : Promise.resolve())
    await f.write(['stdout F and ended', 'stdout F b'])
    await f.write(['stdout F c'], other)
    await f.settle()
    assert.deepEqual(f.entries(), ['stdout: a', 'stdout: c'], broken)
    f.files.beforeAt = () => Promise.resolve()
    await f.settle()
    assert.deepEqual(f.entries().slice(2), ['stdout: begun and ended', 'stdout: b'], broken)
    await f.tailer.stop()
  }
})
