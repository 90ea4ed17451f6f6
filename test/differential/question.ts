/** What is asked of a real server and of Tercet alike, and what they answer. */

export interface Question {
  /** Stands for it in the lists; never changes. */
  id: string
  path: string
  /** Default: GET. */
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  params?: Readonly<Record<string, string | readonly string[]>>
  headers?: Readonly<Record<string, string>>
  body?: string
  /** Where Tercet is asked; default: both. What a server says of its memory alone is not asked of blocks. */
  asked?: 'memory' | 'blocks'
}

export interface Answer {
  status: number
  /** The content type, without parameters. */
  type: string
  body: string
}

/** What a loader sends before anything is asked. */
export interface Target {
  url: string
  /** Tercet, or the real server: some have other paths for the same. */
  isReal: boolean
}

export interface Dialect {
  /** Folder below `fixtures/differential`, and the command line's word. */
  readonly name: string
  /** The language, as people write its name. */
  readonly language: string
  /** The real server, as its people call it. */
  readonly server: string
  /** Tercet's flags. */
  readonly flags: readonly string[]
  /** Starts the real server in an empty directory. Undefined: its program is not here. */
  start(directory: string): Promise<RealServer | undefined>
  /** Sends all data; resolves when all of it can be asked for. `baseMs`: the data ends a little before. */
  load(target: Target, baseMs: number): Promise<void>
  questions(baseMs: number): Question[]
  /** A question that follows from a number: what nobody wrote down. */
  randomQuestion?(baseMs: number, seed: number): Question
  /** What of an answer counts: equal values are equal answers. */
  comparable(question: Question, answer: Answer): unknown
  /** What is recorded of an answer: one with the same `comparable`. Default: all of it. */
  recorded?(answer: Answer): Answer
  /** Spoils an answer so that it may not be equal any more. Default: another value in its place. */
  spoil?(question: Question, answer: Answer): Answer
}

export interface RealServer {
  url: string
  version: string
  /** How it was started: command and configuration, without paths of the machine. */
  origin: string
  stop(): Promise<void>
}

/** An answer that goes on for longer has no end. */
const endsWithinMs = 30_000

export async function ask(url: string, question: Question): Promise<Answer> {
  const { path, method = 'GET', params = {}, headers = {}, body } = question
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(params))
    for (const one of typeof value === 'string' ? [value] : value) search.append(name, one)
  const query = search.size === 0 ? '' : `?${search.toString()}`
  const signal = AbortSignal.timeout(endsWithinMs)
  const given = body === undefined ? {} : { body }
  const reply = await fetch(`${url}${path}${query}`, { method, headers, signal, ...given })
  const type = (reply.headers.get('content-type') ?? '').split(';')[0]!.trim()
  return { status: reply.status, type, body: await textOf(reply, signal) }
}

async function textOf(reply: Response, signal: AbortSignal): Promise<string> {
  try {
    return await reply.text()
  } catch (error) {
    if (signal.aborted) return 'an answer without an end'
    throw error
  }
}
