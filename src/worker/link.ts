/** Calls between two threads, in both directions: a name and an argument go out, an answer or an error comes back. */
import { packError, unpackError, type CarriedError } from './carried-error.ts'

/** What one side asks the other: by name, the argument and the answer; both can be cloned. */
export type Calls = Readonly<Record<string, { ask: unknown; answer: unknown }>>

/** A message on its way. */
export type LinkMessage =
  | { kind: 'call'; id: number; name: string; ask: unknown }
  | { kind: 'answer'; id: number; answer: unknown }
  | { kind: 'failure'; id: number; error: CarriedError }

/** One end of a channel between two threads. */
export interface Port {
  /** `transfer`: memory that goes over with the message, and is gone here. */
  post(message: LinkMessage, transfer: readonly ArrayBuffer[]): void
  onMessage(listener: (message: LinkMessage) => void): void
}

/** An answer, and the memory that may go over with it. */
export interface Answer<T> {
  answer: T
  transfer?: readonly ArrayBuffer[]
}

/** What one side does when it is asked. */
export type Handlers<In extends Calls> = { readonly [Name in keyof In]: Handler<In[Name]> }
type Handler<Call extends { ask: unknown; answer: unknown }> = (
  ask: Call['ask'],
) => Promise<Answer<Call['answer']>> | Answer<Call['answer']>

interface Pending {
  resolve: (answer: unknown) => void
  reject: (error: Error) => void
}

/** One side of a conversation: asks what `Out` names, and answers what `In` names. */
export class Link<Out extends Calls, In extends Calls> {
  readonly #port: Port
  readonly #handlers: Handlers<In>
  readonly #pending = new Map<number, Pending>()
  #next = 1
  #closed: Error | undefined

  constructor(port: Port, handlers: Handlers<In>) {
    this.#port = port
    this.#handlers = handlers
    port.onMessage(message => {
      this.#receive(message)
    })
  }

  /** Resolves with the answer of the other side, or rejects with its error, of the same kind. */
  call<Name extends keyof Out & string>(
    name: Name,
    ask: Out[Name]['ask'],
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Out[Name]['answer']> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    const id = this.#next++
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      try {
        this.#port.post({ kind: 'call', id, name, ask }, transfer)
      } catch (error) {
        // What can't be cloned is a bug of the caller.
        this.#pending.delete(id)
        reject(error as Error)
      }
    })
  }

  /** The other side is gone: what was asked is answered with `error`, and nothing is asked any more. */
  close(error: Error): void {
    this.#closed = error
    for (const { reject } of this.#pending.values()) reject(error)
    this.#pending.clear()
  }

  #receive(message: LinkMessage): void {
    if (message.kind === 'call') {
      void this.#serve(message.id, message.name, message.ask)
      return
    }
    const pending = this.#pending.get(message.id)
    if (pending === undefined) return
    this.#pending.delete(message.id)
    if (message.kind === 'answer') pending.resolve(message.answer)
    else pending.reject(unpackError(message.error))
  }

  async #serve(id: number, name: keyof In, ask: unknown): Promise<void> {
    let reply: LinkMessage
    let transfer: readonly ArrayBuffer[] = []
    try {
      const served = await this.#handlers[name]!(ask)
      reply = { kind: 'answer', id, answer: served.answer }
      transfer = served.transfer ?? []
    } catch (error) {
      reply = { kind: 'failure', id, error: packError(error) }
    }
    if (this.#closed === undefined) this.#post(id, reply, transfer)
  }

  #post(id: number, reply: LinkMessage, transfer: readonly ArrayBuffer[]): void {
    try {
      this.#port.post(reply, transfer)
    } catch (error) {
      this.#port.post({ kind: 'failure', id, error: packError(error) }, [])
    }
  }
}
