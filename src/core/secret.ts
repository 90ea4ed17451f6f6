/** Values that are never shown: whatever prints one gets `<secret>`, unless it asks for the text by its name. */
import { inspect } from 'node:util'

export const hiddenText = '<secret>'

/** A text, or a file that has it and is read again. */
export class Secret {
  readonly #text: string
  /** Empty: the text is known. */
  readonly file: string

  constructor(text: string, file = '') {
    this.#text = text
    this.file = file
  }

  get isSet(): boolean {
    return this.#text !== '' || this.file !== ''
  }

  /** The text itself; empty where a file has it. */
  reveal(): string {
    return this.#text
  }

  toString(): string {
    return this.isSet ? hiddenText : ''
  }
  toJSON(): string {
    return this.toString()
  }
  [inspect.custom](): string {
    return this.toString()
  }
}

export const noSecret = new Secret('')

/** The text of `value` with its secrets in clear: equal for settings that do the same. To compare, not to show. */
export function identityOf(value: unknown, leftOut: readonly string[] = []): string {
  return JSON.stringify(value, function (this: Readonly<Record<string, unknown>>, key, shown: unknown) {
    if (leftOut.includes(key)) return undefined
    // What `toJSON` has hidden stands in the holder.
    const own = this[key]
    if (own instanceof Secret) return [own.reveal(), own.file]
    return typeof shown === 'bigint' ? String(shown) : shown
  })
}

/** A shorter one stands in too many words to be hidden. */
const leastLength = 4
/** Tokens change while a process runs. */
const mostTexts = 256

/** Is a parameter of a URL with this name a credential? */
export function isCredentialName(name: string): boolean {
  return /token|secret|passw|pwd|key|credential|authori[sz]|jwt|session|^sig$|signature|^code$/i.test(name)
}

/**
 * URLs in a text lose their user, password, and parameters that have the names of credentials. Other texts are as they
 * were.
 */
export function maskUrls(text: string): string {
  if (!text.includes('//') && !text.includes('=')) return text
  return withoutParameters(
    text.replace(/(\/\/)[^/?#\s]*@/g, `$1${hiddenText}@`).replace(/[^\s"'<>]+/g, withoutPassword),
  )
}

/** Parameters may be put apart by semicolons, and a value that is hidden may have some. */
function withoutParameters(text: string): string {
  let shown = ''
  let at = 0
  for (const { 0: start, 1: name = '', index } of text.matchAll(/[?&;]([^=?&;#\s]+)=/g)) {
    const from = index + start.length
    if (index < at || !isCredentialName(name)) continue
    const value = /^[^&#\s"'<>]+/.exec(text.slice(from))?.[0]
    if (value === undefined) continue
    shown += `${text.slice(at, from)}${hiddenText}`
    at = from + value.length
  }
  return shown + text.slice(at)
}

/** The same of a text that is one address as a whole: its password may have blanks. */
export function maskUrl(address: string): string {
  const masked = maskUrls(address)
  if (!URL.canParse(masked)) return masked
  const { username, password } = new URL(masked)
  if (`${username}${password}` === '' || masked.includes(`//${hiddenText}@`)) return masked
  return masked.replace(/\/\/.*@/s, `//${hiddenText}@`)
}

/**
 * A password in which `/`, `?` or `#` were not escaped: the address is none then, and is shown to whoever has to
 * correct it. What stands there in place of a port tells it from an address with `@` in its path.
 */
function withoutPassword(word: string): string {
  const end = word.lastIndexOf('@')
  for (let at = word.indexOf('//'); at >= 0 && at < end; at = word.indexOf('//', at + 2)) {
    const [authority = ''] = word.slice(at + 2, end).split(/[/?#]/, 1)
    if (!hostForm.test(authority)) return `${word.slice(0, at)}//${hiddenText}${word.slice(end)}`
  }
  return word
}

/** A host, and a port where there is one. */
const hostForm = /^(?:\[[^\]]*\]|[^:]*)(?::\d{1,5})?$/

/** Secrets that were used: what others say back, and what the system says of a failure, is shown without them. */
export class KnownSecrets {
  readonly #texts = new Set<string>()

  add(...texts: readonly string[]): void {
    for (const text of texts.map(one => one.trim()).filter(one => one.length >= leastLength)) {
      // The newest ones are kept.
      this.#texts.delete(text)
      this.#texts.add(text)
      if (this.#texts.size <= mostTexts) continue
      const [oldest] = this.#texts
      this.#texts.delete(oldest!)
    }
  }

  /** The user, password and parameters of an address; of one that is a secret itself, the parts of its path. */
  addUrl(address: string, isSecret = false): void {
    if (!URL.canParse(address)) {
      if (isSecret) this.add(address)
      return
    }
    const url = new URL(address)
    this.add(url.password, decoded(url.password))
    const pair = `${decoded(url.username)}:${decoded(url.password)}`
    if (url.username !== '') this.add(Buffer.from(pair).toString('base64'))
    for (const [name, value] of url.searchParams) if (isCredentialName(name)) this.add(value, encodeURIComponent(value))
    // A user alone is a token.
    if (url.password === '' || isSecret) this.add(url.username, decoded(url.username))
    if (!isSecret) return
    this.add(address, url.href, `${url.pathname}${url.search}`)
    for (const part of `${url.pathname}${url.search}`.split(/[/?&=]/))
      if (part.length >= 8 || /\d/.test(part)) this.add(part, decoded(part))
  }

  hide(text: string): string {
    let shown = maskUrls(text)
    // A long one may contain a short one.
    for (const secret of [...this.#texts].sort((a, b) => b.length - a.length))
      shown = shown.replaceAll(secret, hiddenText)
    return shown
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
