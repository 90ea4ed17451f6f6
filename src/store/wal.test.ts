/**
 * The log in both modes: records are shown when they are kept and not before, what can't be kept leaves nothing, and a
 * replay passes over what it can't read and nothing else. Covers req-012.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { BucketError } from '#bucket/bucket.ts'
import { MemoryBucket } from '#bucket/memory.ts'
import { ConflictError, CorruptDataError, UnavailableError } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { NewerFormatError } from '#core/own-formats.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { requireKnownKind } from './record-kind.ts'
import { headerBytes, joinSegments, packSegment, unpackSegment } from './wal-segment.ts'
import { Wal, type Durability, type ReplayReport } from './wal.ts'

const prefix = 't/wal/'

/** A disk and a bucket that outlive the logs upon them. */
class World {
  readonly clock = new VirtualClock(0)
  readonly files = new MemoryFiles()
  bucket = new MemoryBucket(this.clock)
  readonly shown: string[] = []
  readonly read: string[] = []
  losses = 0
  report: ReplayReport | undefined
  #writers = 0

  async open(durability: Durability): Promise<Wal> {
    const wal = this.make(durability)
    await this.replay(wal)
    return wal
  }

  make(durability: Durability, confirmPrefix = (): Promise<void> => Promise.resolve()): Wal {
    const { clock, files, bucket } = this
    const wal = new Wal({
      clock,
      files,
      bucket,
      log: silentLog,
      bucketPrefix: prefix,
      directory: '/wal',
      durability,
      commitIntervalMs: 200,
      writer: String(this.#writers++).padStart(26, '0'),
      syncAlways: false,
      confirmPrefix,
      confirmKept: confirmPrefix,
      onLost: () => {
        this.losses++
        wal.beginGeneration()
      },
    })
    return wal
  }

  async replay(wal: Wal): Promise<void> {
    const visit = ({ payload }: { payload: Uint8Array }): { scopes: string[]; missing: number } => {
      this.read.push(Buffer.from(payload).toString())
      return { scopes: ['a'], missing: 0 }
    }
    this.read.length = 0
    const local = await wal.openLocal(visit)
    const remote = await wal.openRemote(visit)
    this.report = { ...local, skipped: local.skipped + remote.skipped }
  }

  /** Puts a record in line. */
  append(wal: Wal, text: string, scope = 'a'): void {
    wal.append(1, Buffer.from(text), [scope], payload => {
      this.shown.push(Buffer.from(payload).toString())
    })
  }

  async append1(wal: Wal, text: string, scope = 'a'): Promise<void> {
    this.append(wal, text, scope)
    await this.driven(wal.commit())
  }

  /** Moves time until the work has ended. */
  async driven<T>(work: Promise<T>): Promise<T> {
    let isDone = false
    const watched = work.finally(() => {
      isDone = true
    })
    watched.catch(() => {})
    while (!isDone) await this.clock.advance(50)
    return watched
  }
}

for (const durability of ['local', 'bucket'] as const) {
  test(`${durability}: a record is shown when it is kept, and read back once`, async () => {
    const world = new World()
    const wal = await world.open(durability)
    world.append(wal, 'one')
    assert.deepEqual(world.shown, [])
    await world.driven(wal.commit())
    assert.deepEqual(world.shown, ['one'])
    world.append(wal, 'two')
    world.append(wal, 'three')
    await world.driven(wal.commit())
    assert.deepEqual(world.shown, ['one', 'two', 'three'])
    await world.open(durability)
    assert.deepEqual(world.read, ['one', 'two', 'three'])
    await world.open(durability)
    assert.deepEqual(world.read, ['one', 'two', 'three'], 'nor does a second start lose or repeat one')
    assert.equal(world.report?.skipped, 0)
  })

  test(`${durability}: what is refused shows nowhere, also after a restart, and what follows is kept`, async () => {
    const world = new World()
    const wal = await world.open(durability)
    await world.append1(wal, 'good')
    const away = (): never => {
      throw new BucketError('put', 'b', 'SlowDown', true)
    }
    if (durability === 'local') world.files.onOperation = () => away()
    else world.bucket.put = () => Promise.reject(new BucketError('put', 'b', 'SlowDown', true))
    world.append(wal, 'refused')
    world.append(wal, 'refused beside it')
    await assert.rejects(world.driven(wal.commit()), UnavailableError)
    assert.equal(world.losses, 1)
    world.files.onOperation = () => {}
    world.bucket.put = (...call) => MemoryBucket.prototype.put.apply(world.bucket, call)
    await world.append1(wal, 'later')
    assert.deepEqual(world.shown, ['good', 'later'])
    await world.open(durability)
    assert.deepEqual(world.read, ['good', 'later'])
  })

  test(`${durability}: a boundary lies behind what was in line, and before what comes`, async () => {
    const world = new World()
    const wal = await world.open(durability)
    let isAtOnce = false
    wal.beginGeneration(() => {
      isAtOnce = true
    })
    assert.equal(isAtOnce, true, 'nothing was in line')
    world.append(wal, 'before')
    wal.beginGeneration(() => {
      world.shown.push('boundary')
    })
    world.append(wal, 'behind')
    await world.driven(wal.commit())
    assert.deepEqual(world.shown, ['before', 'boundary', 'behind'])
  })

  test(`${durability}: a generation goes when all its scopes are released, with what was left of it`, async () => {
    const world = new World()
    const wal = await world.open(durability)
    await world.append1(wal, 'one', 'x')
    await world.append1(wal, 'two', 'y')
    wal.beginGeneration()
    await world.append1(wal, 'three', 'x')
    await wal.release('x', [[wal.writer, 0]])
    assert.ok(wal.segmentCount >= 2)
    await wal.release('y', [[wal.writer, 1]])
    await world.open(durability)
    assert.deepEqual(world.read, ['three'])
  })

  test(`${durability}: a segment whose removal failed is not read again`, async () => {
    const world = new World()
    const wal = await world.open(durability)
    await world.append1(wal, 'one', 'x')
    wal.beginGeneration()
    await world.append1(wal, 'two', 'x')
    const fails = (): never => {
      throw new Error('no')
    }
    world.files.onOperation = operation => (operation === 'remove' ? fails() : undefined)
    world.bucket.delete = () => Promise.reject(new BucketError('delete', 'b', 'SlowDown', true))
    await wal.release('x', [[wal.writer, 0]])
    await world.open(durability)
    assert.deepEqual(world.read, ['two'])
  })
}

/** Takes a record in, all of its bytes zeros. */
const record = new Uint8Array(8 * 1024 * 1024)

test('a full log refuses, writes what waits, and takes records again; owed records are always taken', async () => {
  const wal = await new World().open('local')
  for (let i = 0; i < 8; i++) wal.append(1, record, ['a'])
  assert.throws(() => wal.append(1, record, ['a']), UnavailableError)
  assert.throws(() => wal.requireRoom(), UnavailableError)
  assert.equal(wal.append(1, record, ['a'], undefined, true), 8)
  // Nobody called commit.
  for (let i = 0; i < 400; i++) await Promise.resolve()
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(wal.append(1, record, ['a']), 9)
  await wal.commit()
  await wal.close()
})

test('a segment that can not be opened leaves no handle and no file, and the next one can', async () => {
  const world = new World()
  const wal = await world.open('local')
  const open = new Set<string>()
  const { openAppend } = world.files
  world.files.openAppend = async path => {
    const file = await openAppend.call(world.files, path)
    open.add(path)
    return {
      ...file,
      close: async () => {
        open.delete(path)
        await file.close()
      },
    }
  }
  let isFull = true
  world.files.onOperation = operation => {
    if (isFull && operation === 'append') throw new Error('ENOSPC: no space left on device')
  }
  for (let i = 0; i < 3; i++) await assert.rejects(world.append1(wal, 'refused'), /no space left/)
  assert.deepEqual([...open], [])
  assert.deepEqual(await world.files.list('/wal'), [])
  isFull = false
  await world.append1(wal, 'kept')
  await world.open('local')
  assert.deepEqual(world.read, ['kept'])
})

for (const canCut of [true, false])
  test(`refused records are taken out of the file, or void where the disk refuses that: ${canCut}`, async () => {
    const world = new World()
    let isOurs = true
    const wal = world.make('local', () =>
      isOurs ? Promise.resolve() : Promise.reject(new UnavailableError('the prefix is not known to be ours', 1)),
    )
    await world.replay(wal)
    await world.append1(wal, 'one')
    world.files.onOperation = operation => {
      if (operation === 'cut' && !canCut) throw new Error('EIO')
    }
    // The bytes are in the file by then.
    isOurs = false
    for (let i = 0; i < 3; i++) world.append(wal, `refused ${i}`)
    await assert.rejects(world.driven(wal.commit()), /not known to be ours/)
    isOurs = true
    await world.append1(wal, 'two')
    await world.append1(wal, 'three')
    await world.open('local')
    assert.deepEqual(world.read, ['one', 'two', 'three'])
  })

test('a flipped bit costs its record, wherever in the record it is', async () => {
  const world = new World()
  const wal = await world.open('local')
  for (const text of ['one', 'two', 'three']) await world.append1(wal, text)
  await wal.close()
  const [name = ''] = await world.files.list('/wal')
  const path = `/wal/${name}`
  const whole = await world.files.read(path)
  const frame = (whole.length - headerBytes - 'onetwothree'.length) / 3
  const from = headerBytes + frame + 'one'.length
  for (let at = from; at < from + frame + 'two'.length; at++) {
    const bytes = whole.slice()
    bytes[at]! ^= 1 << (at % 8)
    await world.files.writeAtomic(path, bytes)
    await world.replay(world.make('local'))
    assert.deepEqual(world.read, ['one', 'three'], `byte ${at - from} of the record`)
    assert.deepEqual([world.report?.records, world.report?.skipped], [2, 1])
  }
})

test('a log that is cut off anywhere gives every record before the cut, and says nothing of a torn end', async () => {
  const world = new World()
  const wal = await world.open('local')
  for (const text of ['one', 'two']) await world.append1(wal, text)
  await wal.close()
  const [name = ''] = await world.files.list('/wal')
  const whole = await world.files.read(`/wal/${name}`)
  for (let length = 0; length < whole.length; length++) {
    await world.files.writeAtomic(`/wal/${name}`, whole.subarray(0, length))
    await world.replay(world.make('local'))
    assert.ok(world.read.length <= 1 && (world.read.length === 0 || world.read[0] === 'one'))
    if (length >= headerBytes) assert.equal(world.report?.skipped, 0, `${length} of ${whole.length} bytes`)
  }
})

test('a segment whose header is damaged is passed over and told; the others are read', async () => {
  const world = new World()
  const wal = await world.open('local')
  await world.append1(wal, 'one')
  wal.beginGeneration()
  await world.append1(wal, 'two')
  await wal.close()
  const [name = ''] = await world.files.list('/wal')
  const bytes = await world.files.read(`/wal/${name}`)
  for (let at = 0; at < headerBytes; at++) {
    const flipped = bytes.slice()
    flipped[at]! ^= 1
    await world.files.writeAtomic(`/wal/${name}`, flipped)
    await world.replay(world.make('local'))
    assert.deepEqual(world.read, ['one', 'two'], `byte ${at}: there are two of it`)
  }
  bytes.fill(0, 0, headerBytes)
  await world.files.writeAtomic(`/wal/${name}`, bytes)
  // What was shipped is read in its place no more than once: it has the same name.
  world.bucket.objects.clear()
  await world.open('local')
  assert.deepEqual(world.read, ['two'])
  assert.equal(world.report?.skipped, 1)
})

for (const place of ['disk', 'bucket'] as const)
  test(`a segment of a newer version fails the replay, and stays: ${place}`, async () => {
    const world = new World()
    const wal = await world.open('local')
    await world.append1(wal, 'one')
    await wal.close()
    const [name = ''] = await world.files.list('/wal')
    const bytes = await world.files.read(`/wal/${name}`)
    for (const at of [0, headerBytes / 2]) {
      bytes[at + 4] = 4
      const copy = bytes.subarray(at, at + headerBytes / 2 - 4)
      new DataView(bytes.buffer, bytes.byteOffset).setUint32(at + copy.length, crc32(copy))
    }
    if (place === 'disk') await world.files.writeAtomic(`/wal/${name}`, bytes)
    else {
      await world.files.remove(`/wal/${name}`)
      await world.bucket.put(prefix + name, await packSegment(bytes))
    }
    await assert.rejects(world.open('local'), (error: unknown) => {
      assert.ok(error instanceof NewerFormatError)
      assert.match(error.message, /was written by a newer Tercet: segments of the write-ahead log of version 4/)
      return true
    })
    assert.deepEqual(world.read, [])
    assert.equal((await world.files.list('/wal')).includes(name) || world.bucket.objects.has(prefix + name), true)
  })

test('a record of a newer kind fails the replay; of a lower one that is not known it is damage', () => {
  const record = { writer: 'w', generation: 0, number: 7, payload: new Uint8Array(0) }
  const known = { spans: 2, carried: 5 }
  requireKnownKind({ ...record, kind: 2 }, known)
  assert.throws(() => {
    requireKnownKind({ ...record, kind: 6 }, known)
  }, NewerFormatError)
  assert.throws(() => {
    requireKnownKind({ ...record, kind: 3 }, known)
  }, CorruptDataError)
})

/** A bucket that repeats a put by itself, because the first reply was lost: the second finds the first. */
class RepeatingBucket extends MemoryBucket {
  override async put(key: string, bytes: Uint8Array, options?: { ifAbsent?: boolean }): Promise<void> {
    await super.put(key, bytes, options)
    if (options?.ifAbsent === true) throw new ConflictError(`${key} is there already`)
  }
}

test('a link whose reply was lost is ours; links that can not be read for a while are no other writer', async () => {
  const world = new World()
  world.bucket = new RepeatingBucket(world.clock)
  const wal = await world.open('bucket')
  await world.append1(wal, 'one')
  let failures = 4
  const { get } = world.bucket
  world.bucket.get = key =>
    failures-- > 0 ? Promise.reject(new BucketError('get', 'b', 'SlowDown', true)) : get.call(world.bucket, key)
  await world.append1(wal, 'two')
  assert.equal(wal.fenced, undefined)
  await world.open('bucket')
  assert.deepEqual(world.read, ['one', 'two'])
})

/** A writer whose prefix is another's after `replace`. */
async function replaceable(world: World): Promise<{ first: Wal; replace: () => void }> {
  let isOurs = true
  const first = world.make('bucket', () =>
    isOurs ? Promise.resolve() : Promise.reject(new UnavailableError('another writer took over', 60)),
  )
  await world.replay(first)
  return {
    first,
    replace: () => {
      isOurs = false
    },
  }
}

test('what a replaced writer adds behind its successor is refused: the chain is closed', async () => {
  const world = new World()
  const { first, replace } = await replaceable(world)
  await world.append1(first, 'one')
  const second = await world.open('bucket')
  assert.deepEqual(world.read, ['one'])
  replace()
  await assert.rejects(world.append1(first, 'late'), /another writer took over/)
  await world.append1(second, 'two')
  assert.deepEqual(world.shown, ['one', 'two'])
  await world.open('bucket')
  assert.deepEqual(world.read, ['one', 'two'])
})

test('a segment whose first write was torn, and that was shipped, is empty and no loss', async () => {
  for (const length of [0, 1, headerBytes - 1]) {
    const world = new World()
    const wal = await world.open('local')
    await world.append1(wal, 'one')
    const [name = ''] = await world.files.list('/wal')
    await world.files.writeAtomic(`/wal/${name}`, (await world.files.read(`/wal/${name}`)).subarray(0, length))
    // Another disk: what the first shipped is all that there is.
    await world.bucket.put(prefix + name, await packSegment(await world.files.read(`/wal/${name}`)))
    world.files.entries.clear()
    await world.open('local')
    assert.deepEqual(world.read, [])
    assert.equal(world.report?.skipped, 0, `${length} bytes`)
  }
})

test('a writer that was replaced while it read the log back releases nothing of its successor', async () => {
  const world = new World()
  const successor = await world.open('bucket')
  await world.append1(successor, 'one')
  const late = world.make('bucket', () => Promise.reject(new UnavailableError('another writer took over', 60)))
  await assert.rejects(world.replay(late), /another writer took over/)
  assert.ok(!world.bucket.objects.has(`${prefix}released.json`))
  await world.append1(successor, 'two')
  await world.open('bucket')
  assert.deepEqual(world.read, ['one', 'two'])
})

test('where all links are removed a successor goes on with their numbers, and meets the writer before it', async () => {
  const world = new World()
  const { first, replace } = await replaceable(world)
  await world.append1(first, 'one')
  first.beginGeneration()
  await first.release('a', [[first.writer, Infinity]])
  const links = [...world.bucket.objects.keys()].filter(key => key.endsWith('.wal'))
  assert.deepEqual(links, [])
  const second = await world.open('bucket')
  replace()
  await assert.rejects(world.append1(first, 'late'), /another writer took over/)
  assert.ok(!world.shown.includes('late'))
  await world.append1(second, 'two')
  await world.open('bucket')
  assert.deepEqual(world.read, ['two'])
})

test('links that a stale listing lacks are found, and none is written over', async () => {
  const world = new World()
  const wal = await world.open('bucket')
  for (const text of ['one', 'two', 'three']) await world.append1(wal, text)
  const { list } = world.bucket
  world.bucket.list = async at => (await list.call(world.bucket, at)).slice(0, 2)
  const next = await world.open('bucket')
  assert.deepEqual(world.read, ['one', 'two', 'three'])
  await world.append1(next, 'four')
  await world.open('bucket')
  assert.deepEqual(world.read, ['one', 'two', 'three', 'four'])
})

test('many small links become few objects, which are read in their place, also where a removal failed', async () => {
  for (const canRemove of [true, false]) {
    const world = new World()
    const wal = await world.open('bucket')
    const { delete: remove } = world.bucket
    world.bucket.delete = key =>
      canRemove ? remove.call(world.bucket, key) : Promise.reject(new BucketError('delete', 'b', 'SlowDown', true))
    const texts = Array.from({ length: 150 }, (_, i) => `record ${i}`)
    for (const text of texts) await world.append1(wal, text)
    await world.driven(wal.close())
    const objects = [...world.bucket.objects.keys()].filter(key => key.startsWith(prefix))
    if (canRemove) assert.ok(objects.length < 30, `${objects.length} objects`)
    await world.open('bucket')
    assert.deepEqual(world.read, texts)
  }
})

test('a link, or joined links, that are cut off count as damaged: an object has no torn end', async () => {
  const cutOff = (whole: Uint8Array): Uint8Array => whole.subarray(0, whole.length - 1)
  for (const [damage, kept] of [
    [cutOff, []],
    [(whole: Uint8Array) => joinSegments([cutOff(whole)]), []],
    [(whole: Uint8Array) => cutOff(joinSegments([whole, whole])), ['one']],
  ] as const) {
    const world = new World()
    await world.append1(await world.open('bucket'), 'one')
    const [key = '', link] = [...world.bucket.objects].findLast(([name]) => name.endsWith('.wal'))!
    await world.bucket.put(key, damage((await unpackSegment(link!.bytes, 1e6)).bytes))
    await world.replay(world.make('bucket'))
    assert.equal(world.report?.skipped, 1)
    assert.deepEqual(world.read, kept)
  }
})

test('whatever bit of a packed link is flipped, what is lost is told, and no record is altered', async () => {
  const world = new World()
  const wal = await world.open('bucket')
  const texts = Array.from({ length: 20 }, (_, i) => `record ${i} ${'abc'.repeat(i)}`)
  for (const text of texts) world.append(wal, text)
  await world.driven(wal.commit())
  const [key = '', link] = [...world.bucket.objects].findLast(([name]) => name.endsWith('.wal'))!
  const whole = new Map([...world.bucket.objects].map(([name, { bytes }]) => [name, bytes]))
  for (let at = 0; at < link!.bytes.length; at++) {
    world.bucket.objects.clear()
    for (const [name, bytes] of whole) await world.bucket.put(name, bytes)
    const flipped = link!.bytes.slice()
    flipped[at]! ^= 1 << (at % 8)
    await world.bucket.put(key, flipped)
    await world.replay(world.make('bucket'))
    assert.deepEqual(
      world.read,
      texts.filter(text => world.read.includes(text)),
    )
    if (world.read.length < texts.length) assert.ok(world.report!.skipped > 0, `byte ${at} of ${flipped.length}`)
  }
})

test('a link that a replaced writer released and removed is no loss; one that is merely gone is', async () => {
  for (const isReleased of [true, false]) {
    const world = new World()
    const first = await world.open('bucket')
    await world.append1(first, 'one')
    const next = world.make('bucket')
    const { get } = world.bucket
    let release: Promise<void> | undefined
    world.bucket.get = async key => {
      if (key.endsWith('1.wal')) {
        if (isReleased) await (release ??= first.release('a', [[first.writer, Infinity]]))
        await world.bucket.delete(key)
      }
      return get.call(world.bucket, key)
    }
    first.beginGeneration()
    await world.replay(next)
    assert.deepEqual(world.read, [])
    assert.equal(world.report?.skipped, isReleased ? 0 : 1)
  }
})

test('what was kept and shipped before the bucket could be joined is not read back beside it', async () => {
  const world = new World()
  const wal = world.make('local')
  const seen: string[] = []
  const visit = ({ payload }: { payload: Uint8Array }): { scopes: string[]; missing: number } => {
    seen.push(Buffer.from(payload).toString())
    return { scopes: ['a'], missing: 0 }
  }
  await wal.openLocal(visit)
  await world.append1(wal, 'one')
  wal.beginGeneration()
  await world.append1(wal, 'two')
  await world.clock.advance(120_000)
  await world.driven(wal.tick())
  while (![...world.bucket.objects.keys()].some(key => key.startsWith(prefix))) await world.clock.advance(50)
  await wal.openRemote(visit)
  assert.deepEqual(seen, [])
  await world.open('local')
  assert.deepEqual(world.read, ['one', 'two'])
})

test('two directories on one bucket: each start has what both logs have, whichever shipped last', async () => {
  const world = new World()
  const first = await world.open('local')
  await world.append1(first, 'shipped')
  await first.close()
  const rest = world.make('local')
  await world.replay(rest)
  await world.append1(rest, 'never shipped')
  // The disk of the first is put aside; the bucket is taken over by one without it.
  const aside = new Map(world.files.entries)
  world.files.entries.clear()
  const second = await world.open('local')
  assert.deepEqual(world.read, ['shipped'])
  await world.append1(second, 'second')
  await second.close()
  for (const [path, entry] of aside) world.files.entries.set(path, entry)
  await world.open('local')
  assert.deepEqual(world.read.toSorted(), ['never shipped', 'second', 'shipped'])
})

test('a bucket in trouble: what waits is refused in time, the rest at once, and it goes on afterwards', async () => {
  const world = new World()
  const wal = await world.open('bucket')
  const { put } = world.bucket
  world.bucket.put = () => Promise.reject(new BucketError('put', 'b', 'SlowDown', true))
  world.append(wal, 'refused')
  const first = wal.commit()
  first.catch(() => {})
  while (wal.trouble === undefined) await world.clock.advance(50)
  for (let i = 0; i < 120; i++) await world.clock.advance(50)
  assert.match(wal.trouble ?? '', /SlowDown/)
  assert.throws(() => wal.requireRoom(), UnavailableError)
  await assert.rejects(world.driven(first), UnavailableError)
  world.bucket.put = put
  await world.append1(wal, 'kept')
  assert.equal(wal.trouble, undefined)
  await world.open('bucket')
  assert.deepEqual(world.read, ['kept'])
})

test('a fenced log refuses what waits and what comes, and removes nothing', async () => {
  const world = new World()
  const wal = await world.open('local')
  await world.append1(wal, 'one')
  world.append(wal, 'waits')
  const waits = wal.commit()
  wal.fence('another writer took over')
  await assert.rejects(waits, UnavailableError)
  assert.throws(() => wal.append(1, Buffer.from('x'), ['a']), /another writer took over/)
  wal.beginGeneration()
  await wal.release('a', [[wal.writer, 5]])
  await world.open('local')
  assert.deepEqual(world.read, ['one'])
})
