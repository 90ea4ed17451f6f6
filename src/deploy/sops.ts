/**
 * SOPS files with age recipients, as sops 3.x reads and writes them (specs/deploy.md 3.9): values are encrypted one
 * by one, so that a difference of two files shows which of them changed.
 */
import { armor, Decrypter, Encrypter } from 'age-encryption'
import { isMap, isScalar, isSeq, parseDocument, type Document, type Node, type ParsedNode, type Scalar } from 'yaml'
import { BadDataError, CorruptDataError } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import type { Random } from '#core/random.ts'
import { credentialsInClear, credentialsInLines } from './clear-credentials.ts'
import { decryptText, encryptedForm, encryptText, Mac, type LeafType } from './sops-cipher.ts'
import {
  metadataOf,
  ruleFields,
  ruleOf,
  ruleTest,
  secretRule,
  type IsEncrypted,
  type Metadata,
  type SealRule,
} from './sops-rule.ts'

export interface SealWorld {
  random: Random
  nowMs: number
}

const sopsVersion = '3.13.2'
/** Type and bytes of a value. Empty for null, which stays as it is. */
function leafOf(node: Scalar, path: readonly string[]): { type: LeafType; text: string } | undefined {
  const { value } = node
  if (value === null || value === undefined) return undefined
  if (typeof value === 'string') {
    if (node.type === 'PLAIN' && /^\d{4}-\d\d?-\d\d?([Tt ].*)?$/.test(value))
      throw new BadDataError(
        `${path.join('.')}: ${value} without quotes is a time to some programs and a text to others; put it in quotes`,
      )
    return { type: 'str', text: value }
  }
  if (typeof value === 'boolean') return { type: 'bool', text: value ? 'True' : 'False' }
  if (typeof value === 'bigint') return { type: 'int', text: String(value) }
  if (typeof value === 'number') {
    const text = String(value)
    if (!/^-?\d+(\.\d+)?$/.test(text))
      throw new BadDataError(
        `${path.join('.')}: the number ${text} has more than one way to be written; put it in quotes`,
      )
    return { type: 'float', text }
  }
  throw new BadDataError(`${path.join('.')}: a ${typeof value} can't be sealed`)
}

/** Calls for every leaf in the order of the file; and for every node that may carry comments, first. */
function walk(
  node: Node | null | undefined,
  path: readonly string[],
  onLeaf: (leaf: Scalar, path: readonly string[]) => void,
  onComment?: (node: Node, path: readonly string[]) => void,
): void {
  if (node === null || node === undefined) return
  if (path.length > 0) onComment?.(node, path)
  if (isMap(node)) {
    for (const { key, value } of node.items) {
      if (
        !isScalar(key) ||
        (typeof key.value !== 'string' && typeof key.value !== 'number' && typeof key.value !== 'bigint')
      )
        throw new BadDataError(`${path.join('.')}: keys must be texts`)
      const name = String(key.value)
      if (path.length === 0 && name === 'sops') continue
      onComment?.(key, path)
      walk(value as Node | null, [...path, name], onLeaf, onComment)
    }
  } else if (isSeq(node)) {
    for (const item of node.items) walk(item as Node, path, onLeaf, onComment)
  } else if (isScalar(node)) onLeaf(node, path)
  else throw new BadDataError(`${path.join('.')}: an alias can't be sealed; write the value out`)
}

const additionalOf = (path: readonly string[]): string => `${path.join(':')}:`

function parse(text: string): Document.Parsed<ParsedNode> {
  if (/^---\s*$/m.test(text.replace(/^\s*(#.*\n\s*)*---\s*\n/, '')))
    throw new BadDataError("a file with several documents can't be sealed; put each in a file of its own")
  const document = parseDocument(text, { intAsBigInt: true, keepSourceTokens: false })
  const [error] = document.errors
  if (error !== undefined) throw new BadDataError(`no YAML: ${error.message}`)
  if (!isMap(document.contents)) throw new BadDataError('a map was expected')
  return document as Document.Parsed<ParsedNode>
}

const dateText = (nowMs: number): string => `${new Date(nowMs).toISOString().slice(0, 19)}Z`

/** A file as it was sealed before, with the identities that open it. */
export interface SealedBefore {
  text: string
  identities: readonly string[]
}

/**
 * The sealed form of `text`. A value that did not change since `before` keeps its ciphertext, and a file that did not
 * change at all is given back as it is. Throws BadDataError for what can't be sealed.
 */
export async function seal(
  text: string,
  rule: SealRule,
  { random, nowMs }: SealWorld,
  before?: SealedBefore,
): Promise<string> {
  if (rule.recipients.length === 0) throw new BadDataError('nobody could open it: no age recipient (age1…) is named')
  const document = parse(text)
  if (document.has('sops')) throw new BadDataError('the file is sealed already')
  const known = before === undefined ? undefined : await openBefore(before, rule)
  const sealer = new Sealer(rule, known, random)
  walk(
    document.contents,
    [],
    (node, path) => {
      sealer.sealLeaf(node, path)
    },
    (node, path) => {
      sealer.sealComments(node, path)
    },
  )
  const isChanged = sealer.isChanged || known?.shape !== shapeOf(text, ruleTest(rule))
  if (!isChanged && before !== undefined) return before.text
  const { dataKey, mac } = sealer
  const wrap = async (recipient: string): Promise<WrappedKey> => ({ recipient, enc: await wrapKey(dataKey, recipient) })
  const lastmodified = dateText(nowMs)
  const metadata = {
    age: known?.age ?? (await Promise.all(rule.recipients.map(wrap))),
    lastmodified,
    mac: encryptText(mac.text(), 'str', dataKey, lastmodified, random),
    ...ruleFields(rule),
    version: sopsVersion,
  }
  document.set('sops', document.createNode(metadata))
  return document.toString({ lineWidth: 0 })
}

/** Encrypts the values and comments of a document in place. */
class Sealer {
  readonly dataKey: Uint8Array
  readonly mac: Mac
  /** A value is encrypted that was not there before. */
  isChanged: boolean
  readonly #isEncrypted: IsEncrypted
  readonly #known: Known | undefined
  readonly #random: Random

  constructor(rule: SealRule, known: Known | undefined, random: Random) {
    this.dataKey = known?.dataKey ?? random.bytes(32)
    this.mac = new Mac(rule.macOnlyEncrypted)
    this.isChanged = known === undefined
    this.#isEncrypted = ruleTest(rule)
    this.#known = known
    this.#random = random
  }

  sealLeaf(node: Scalar, path: readonly string[]): void {
    const leaf = leafOf(node, path)
    const isHidden = this.#isEncrypted(path)
    if (leaf === undefined) return
    this.mac.add(leaf.text, isHidden)
    if (!isHidden || leaf.text === '') return
    node.value = this.#seal(leaf.text, leaf.type, path)
    node.type = 'PLAIN'
    delete node.format
    delete node.source
  }

  sealComments(node: Node, path: readonly string[]): void {
    if (this.#isEncrypted(path)) changeComments(node, line => this.#seal(line, 'comment', path))
  }

  #seal(plain: string, type: LeafType | 'comment', path: readonly string[]): string {
    const same = this.#known?.sealed.get(sealedKey(path, type, plain))?.shift()
    if (same !== undefined) return same
    this.isChanged = true
    return encryptText(plain, type, this.dataKey, additionalOf(path), this.#random)
  }
}

const sealedKey = (path: readonly string[], type: string, plain: string): string =>
  `${additionalOf(path)}\0${type}\0${plain}`

/** Line by line. */
function changeComments(node: Node, change: (line: string) => string): void {
  for (const place of ['commentBefore', 'comment'] as const) {
    const comment = node[place]
    if (comment !== null && comment !== undefined && comment !== '')
      node[place] = comment.split('\n').map(change).join('\n')
  }
}

async function wrapKey(dataKey: Uint8Array, recipient: string): Promise<string> {
  const encrypter = new Encrypter()
  try {
    encrypter.addRecipient(recipient)
  } catch (error) {
    throw new BadDataError(`${recipient} is no age recipient: ${error instanceof Error ? error.message : ''}`)
  }
  return `${armor.encode(await encrypter.encrypt(dataKey)).trimEnd()}\n`
}

/** What of a file is in clear, with white space and comments as they are: whether it changed shows in it. */
function shapeOf(text: string, isEncrypted: IsEncrypted): string {
  const document = parse(text)
  document.delete('sops')
  walk(
    document.contents,
    [],
    (node, path) => {
      if (isEncrypted(path) && node.value !== null && node.value !== '') {
        node.value = ''
        node.type = 'PLAIN'
        delete node.source
      }
    },
    (node, path) => {
      if (isEncrypted(path)) {
        delete node.comment
        delete node.commentBefore
      }
    },
  )
  return document.toString({ lineWidth: 0 })
}

/** The data key, encrypted for one recipient. */
interface WrappedKey {
  recipient: string
  enc: string
}

/** What of an earlier file is used again. */
interface Known {
  dataKey: Uint8Array
  age: WrappedKey[]
  shape: string
  sealed: Map<string, string[]>
}

/**
 * Undefined where nothing of it can be used again: it can't be opened, or is for other recipients, or by another
 * rule.
 */
async function openBefore({ text, identities }: SealedBefore, rule: SealRule): Promise<Known | undefined> {
  try {
    const file = await SealedFile.open(text, identities)
    const isSame =
      file.age.map(({ recipient }) => recipient).join() === rule.recipients.join() &&
      JSON.stringify(ruleFields(file.rule)) === JSON.stringify(ruleFields(rule))
    if (!isSame) return undefined
    const isEncrypted = ruleTest(rule)
    const sealed = ciphersOf(file, isEncrypted)
    // The MAC too.
    await unseal(text, identities)
    return { dataKey: file.dataKey, age: file.age, shape: shapeOf(text, isEncrypted), sealed }
  } catch (error) {
    if (error instanceof BadDataError || error instanceof CorruptDataError) return undefined
    throw error
  }
}

/** The ciphertexts of a file, by place, type and clear text. Throws CorruptDataError. */
function ciphersOf({ document, dataKey }: SealedFile, isEncrypted: IsEncrypted): Map<string, string[]> {
  const sealed = new Map<string, string[]>()
  const keep = (cipher: string, path: readonly string[]): void => {
    const { type, bytes } = decryptText(cipher, dataKey, additionalOf(path), path.join('.'))
    const key = sealedKey(path, type, bytes.toString())
    const list = sealed.get(key)
    if (list === undefined) sealed.set(key, [cipher])
    else list.push(cipher)
  }
  walk(
    document.contents,
    [],
    (node, path) => {
      if (isEncrypted(path) && typeof node.value === 'string' && node.value !== '') keep(node.value, path)
    },
    (node, path) => {
      if (!isEncrypted(path)) return
      const lines = [node.commentBefore, node.comment].flatMap(comment => comment?.split('\n') ?? [])
      for (const line of lines) if (encryptedForm.test(line)) keep(line, path)
    },
  )
  return sealed
}

class SealedFile {
  readonly document: Document.Parsed<ParsedNode>
  readonly rule: SealRule
  readonly age: WrappedKey[]
  readonly dataKey: Uint8Array
  readonly metadata: Metadata
  private constructor(
    document: Document.Parsed<ParsedNode>,
    metadata: Metadata,
    age: WrappedKey[],
    dataKey: Uint8Array,
  ) {
    this.document = document
    this.metadata = metadata
    this.rule = ruleOf(metadata)
    this.age = age
    this.dataKey = dataKey
  }

  static async open(text: string, identities: readonly string[]): Promise<SealedFile> {
    const document = parse(text)
    const metadata = metadataOf(document)
    if (metadata === undefined) throw new BadDataError('the file is not sealed: it has no "sops" at its end')
    const age = (metadata.age ?? []).map(a => ({ recipient: String(a.recipient), enc: String(a.enc) }))
    if (age.length === 0) throw new BadDataError('sealed for no age recipient; other kinds of keys are not supported')
    if (identities.length === 0)
      throw new BadDataError('no age identity is there to open it with: set SOPS_AGE_KEY or SOPS_AGE_KEY_FILE')
    for (const { enc } of age) {
      const decrypter = new Decrypter()
      for (const identity of identities) decrypter.addIdentity(identity)
      let dataKey: Uint8Array
      try {
        dataKey = await decrypter.decrypt(armor.decode(enc))
      } catch {
        continue
      }
      if (dataKey.length !== 32)
        throw new CorruptDataError(`the data key has ${dataKey.length} bytes; 32 were expected`)
      return new SealedFile(document, metadata, age, dataKey)
    }
    throw new BadDataError(`none of the identities opens it; it is sealed for ${age.map(a => a.recipient).join(', ')}`)
  }
}

/**
 * The clear form. Throws CorruptDataError where a value or the MAC does not fit, BadDataError where it can't be
 * opened.
 */
export async function unseal(text: string, identities: readonly string[]): Promise<string> {
  const { document, rule, dataKey, metadata } = await SealedFile.open(text, identities)
  const isEncrypted = ruleTest(rule)
  const mac = new Mac(rule.macOnlyEncrypted)
  walk(
    document.contents,
    [],
    (node, path) => {
      unsealLeaf(node, path, { dataKey, mac, isEncrypted })
    },
    (node, path) => {
      const where = `a comment at ${path.join('.')}`
      if (isEncrypted(path))
        changeComments(node, line =>
          encryptedForm.test(line.trim())
            ? decryptText(line.trim(), dataKey, additionalOf(path), where).bytes.toString()
            : line,
        )
    },
  )
  const stored = decryptText(String(metadata.mac), dataKey, String(metadata.lastmodified), 'the MAC').bytes.toString()
  if (stored !== mac.text())
    throw new CorruptDataError('the MAC does not fit: a value was changed, added or removed after the file was sealed')
  document.delete('sops')
  return document.toString({ lineWidth: 0 })
}

/** Decrypts a value in place, and adds it to the MAC. */
function unsealLeaf(
  node: Scalar,
  path: readonly string[],
  { dataKey, mac, isEncrypted }: { dataKey: Uint8Array; mac: Mac; isEncrypted: IsEncrypted },
): void {
  const isHidden = isEncrypted(path)
  if (node.value === null) return
  if (!isHidden || node.value === '') {
    const leaf = leafOf(node, path)
    if (leaf !== undefined) mac.add(leaf.text, isHidden)
    return
  }
  if (typeof node.value !== 'string')
    throw new CorruptDataError(`${path.join('.')}: not encrypted, though the file says that it is`)
  const { type, bytes } = decryptText(node.value, dataKey, additionalOf(path), path.join('.'))
  mac.add(bytes, true)
  setPlain(node, type, bytes, path)
}

function setPlain(node: Scalar, type: string, bytes: Buffer, path: readonly string[]): void {
  const text = bytes.toString()
  delete node.type
  delete node.source
  switch (type) {
    case 'str':
    case 'bytes':
    case 'time':
      node.value = text
      return
    case 'int':
      node.value = BigInt(text)
      return
    case 'float':
      node.value = Number(text)
      return
    case 'bool':
      node.value = text.toLowerCase() === 'true'
      return
    default:
      throw new CorruptDataError(`${path.join('.')}: the type ${type} is not known`)
  }
}

/**
 * Why a file must not be committed: a Secret that is not sealed, a sealed file with a value in clear that should not
 * be, or a credential in any other object or configuration, as those of receivers of alerts. Empty where all is well.
 * Needs no key; with identities the MAC is checked too.
 */
export async function secretProblems(text: string, identities: readonly string[] = []): Promise<string[]> {
  const problems: string[] = []
  for (const part of text.split(documentStart)) {
    if (part.trim() === '') continue
    // Templates as keys are no reason for a warning of the library.
    const document = parseDocument(part, { intAsBigInt: true, logLevel: 'silent' })
    if (document.errors.length > 0) {
      // Templates of a chart, or a fault: what is in it is looked at all the same.
      addAll(problems, credentialsInLines(part).map(problemOf))
      continue
    }
    if (!isMap(document.contents)) {
      addAll(problems, credentialsInClear(document.toJS()).map(problemOf))
      continue
    }
    const metadata = metadataOf(document)
    const isSecret = document.get('kind') === 'Secret'
    if (metadata === undefined && !isSecret) {
      addAll(problems, credentialProblems(document))
      continue
    }
    const found = valuesInClear(document, metadata === undefined ? secretRule([]) : ruleOf(metadata), isSecret)
    if (metadata === undefined && found.length > 0)
      problems.push(`the Secret ${String(document.getIn(['metadata', 'name']))} is not sealed: ${found.join(', ')}`)
    else addAll(problems, found)
    if (metadata !== undefined && identities.length > 0 && found.length === 0)
      addAll(problems, await unsealProblems(part, identities))
  }
  return problems
}

/** A comment may stand behind it. */
const documentStart = /^---(?:[ \t]+#.*)?[ \t]*\r?$/m

function problemOf(path: string): string {
  return `${path} is a credential in clear: keep it in a sealed Secret, and name its file or the Secret here`
}

/** Kinds that name the keys of Secrets, or explain fields, and hold no values. */
const withoutValues = ['ExternalSecret', 'ClusterExternalSecret', 'PushSecret', 'CustomResourceDefinition']

function credentialProblems(document: Document): string[] {
  const kind = document.get('kind')
  if (typeof kind === 'string' && withoutValues.includes(kind)) return []
  const name = document.getIn(['metadata', 'name'])
  const where = typeof kind === 'string' && typeof name === 'string' ? `${kind} ${name}: ` : ''
  const value = document.toJS() as { kind?: unknown; items?: unknown }
  return [...secretsOfList(value), ...credentialsInClear(value)].map(path => `${where}${problemOf(path)}`)
}

/** `kubectl get -o yaml` puts Secrets into a List: whatever their keys are called. */
function secretsOfList({ kind, items }: { kind?: unknown; items?: unknown }): string[] {
  if (typeof kind !== 'string' || !kind.endsWith('List') || !Array.isArray(items)) return []
  return (items as readonly { kind?: unknown; data?: unknown; stringData?: unknown }[]).flatMap((item, i) =>
    item.kind !== 'Secret'
      ? []
      : (['data', 'stringData'] as const).flatMap(name =>
          Object.keys(item[name] ?? {}).map(key => ['items', String(i), name, key].join('.')),
        ),
  )
}

function valuesInClear(document: Document, rule: SealRule, isSecret: boolean): string[] {
  const isEncrypted = ruleTest(rule)
  const found: string[] = []
  walk(document.contents as Node | null, [], ({ value }, path) => {
    const isHidden = isEncrypted(path) || (isSecret && (path[0] === 'data' || path[0] === 'stringData'))
    const isClear = value !== null && value !== '' && !(typeof value === 'string' && encryptedForm.test(value))
    if (isHidden && isClear) found.push(`${path.join('.')} is in clear`)
  })
  return found
}

/** A file that the identities do not open is no problem. */
async function unsealProblems(text: string, identities: readonly string[]): Promise<string[]> {
  try {
    await unseal(text, identities)
    return []
  } catch (error) {
    if (error instanceof CorruptDataError) return [error.message]
    if (error instanceof BadDataError) return []
    throw error
  }
}

/** Identities in a file of age-keygen: lines that begin with AGE-SECRET-KEY-. */
export function identitiesIn(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line.startsWith('AGE-SECRET-KEY-'))
}
