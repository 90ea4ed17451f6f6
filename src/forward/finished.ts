/**
 * Which messages of a queue are finished: all before a position, and some behind it, where several are sent side by
 * side. Each one is noted in a file as soon as it is finished, so that after a crash it is not sent again, behind newer
 * ones.
 */
import { NotFoundError } from '#core/errors.ts'
import type { AppendFile, Files } from '#core/files.ts'
import { NewerFormatError, refuseNewer, versionOfState } from '#core/own-formats.ts'

/** The end of a message in its segment. */
export interface Place {
  segment: number
  end: number
}
/** All before `at` in `segment`, and all of earlier segments, is finished. */
export interface Position {
  segment: number
  at: number
}

/** Open messages in the order in which they were taken, and what is written down of them. */
export class Finished {
  readonly #files: Files
  readonly #directory: string
  /** Messages that were taken, in order, from the first one that is not finished. */
  readonly #open: (Place & { isDone: boolean })[] = []
  /** Finished messages of the last run behind its position. */
  readonly #before = new Set<string>()
  #notes: AppendFile | undefined
  /** One file operation after the other. */
  #writing: Promise<void> = Promise.resolve()
  position: Position = { segment: 0, at: 0 }

  constructor(files: Files, directory: string) {
    this.#files = files
    this.#directory = directory
  }

  get #positionPath(): string {
    return `${this.#directory}/position.json`
  }
  get #notesPath(): string {
    return `${this.#directory}/finished.log`
  }

  /** `first`: where to begin when nothing is known. */
  async open(first: Position, isThere: (segment: number) => boolean): Promise<void> {
    this.position = first
    try {
      const found = JSON.parse(await this.#text(this.#positionPath)) as Position & { finished?: string[] }
      refuseNewer('queue-position', versionOfState(found), this.#positionPath)
      const { segment, at, finished = [] } = found
      if (isThere(segment)) this.position = { segment, at }
      for (const key of finished) this.#before.add(key)
    } catch (error) {
      if (error instanceof NewerFormatError) throw error
      // None yet, or none that can be read: from the beginning, but for what is noted.
    }
    const notes = await this.#text(this.#notesPath)
    // The last note may be torn.
    for (const line of notes.split('\n').slice(0, -1)) if (/^\d+ \d+$/.test(line)) this.#before.add(line)
  }

  async #text(path: string): Promise<string> {
    try {
      return Buffer.from(await this.#files.read(path)).toString('utf8')
    } catch (error) {
      if (error instanceof NotFoundError) return ''
      throw error
    }
  }

  /** A message was taken. True: the last run finished it. */
  take({ segment, end }: Place): boolean {
    const isDone = this.#before.delete(keyOf(segment, end))
    this.#open.push({ segment, end, isDone })
    if (isDone) this.#advance()
    return isDone
  }

  /** Whether the position moved. */
  async finish({ segment, end }: Place): Promise<boolean> {
    const own = this.#open.find(o => o.segment === segment && o.end === end)
    if (own === undefined) return false
    own.isDone = true
    const moved = this.#advance()
    await this.#inTurn(async () => {
      try {
        this.#notes ??= await this.#files.openAppend(this.#notesPath)
        await this.#notes.append(Buffer.from(`${keyOf(segment, end)}\n`))
      } catch {
        // A message that is not noted may be sent again after a crash.
        await this.#closeNotes().catch(() => undefined)
      }
    })
    return moved
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const run = this.#writing.then(work)
    this.#writing = run.catch(() => {
      // The caller gets the error.
    })
    return run
  }

  async #closeNotes(): Promise<void> {
    const notes = this.#notes
    this.#notes = undefined
    await notes?.close()
  }

  #advance(): boolean {
    let moved = false
    while (this.#open[0]?.isDone === true) {
      const { segment, end } = this.#open.shift()!
      if (segment >= this.position.segment) this.position = { segment, at: end }
      moved = true
    }
    return moved
  }

  /** All before a position is gone. */
  forget(position: Position): void {
    while (this.#open.length > 0 && this.#open[0]!.segment < position.segment) this.#open.shift()
    if (this.position.segment < position.segment) this.position = position
  }

  /** Writes down all in one file; notes begin anew. */
  save(): Promise<void> {
    return this.#inTurn(async () => {
      const { segment, at } = this.position
      const finished = [...this.#open.filter(o => o.isDone).map(o => keyOf(o.segment, o.end)), ...this.#before]
      await this.#files.writeAtomic(this.#positionPath, Buffer.from(JSON.stringify({ segment, at, finished })))
      await this.#closeNotes()
      await this.#files.remove(this.#notesPath)
    })
  }

  close(): Promise<void> {
    return this.#inTurn(() => this.#closeNotes())
  }
}

function keyOf(segment: number, end: number): string {
  return `${segment} ${end}`
}
