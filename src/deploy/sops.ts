/**
 * SOPS files with age recipients, as sops 3.x reads and writes them (specs/deploy.md 3.9): values are encrypted one by one, so that a
 * difference of two files shows which of them changed.
 */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import { armor, Decrypter, Encrypter } from 'age-encryption'
import { isMap, isScalar, isSeq, parseDocument, type Document, type Node, type ParsedNode, type Scalar } from 'yaml'
import { BadDataError, CorruptDataError } from '#core/errors.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import type { Random } from '#core/random.ts'

/** Which values are encrypted, for whom. Exactly one of the four rules, or none: all but what ends in `_unencrypted`. */
export interface SealRule {
  encryptedRegex?: string
  unencryptedRegex?: string
  encryptedSuffix?: string
  unencryptedSuffix?: string
  macOnlyEncrypted: boolean
  /** `age1…`. */
  recipients: readonly string[]
}

/** What Flux wants: apiVersion, kind and metadata in clear. */
export const secretRule = (recipients: readonly string[]): SealRule => ({
  encryptedRegex: '^(data|stringData)$',
  macOnlyEncrypted: true,
  recipients,
})

export interface SealWorld {
  random: Random
  nowMs: number
}

const sopsVersion = '3.13.2'
const encryptedForm =
  /^ENC\[AES256_GCM,data:([A-Za-z0-9+/=]*),iv:([A-Za-z0-9+/=]+),tag:([A-Za-z0-9+/=]+),type:([a-z]+)\]$/
/** What the MAC of encrypted values alone begins with, so that nobody can take one kind of MAC for the other. */
const macOnlyEncryptedSeed = createHash('sha256').update('sops').digest()

type IsEncrypted = (path: readonly string[]) => boolean

function ruleTest(rule: SealRule): IsEncrypted {
  const { encryptedRegex, unencryptedRegex, encryptedSuffix, unencryptedSuffix = '_unencrypted' } = rule
  if (encryptedRegex !== undefined) {
    const regex = compileRe2(encryptedRegex)
    return path => path.some(part => regex.test(part))
  }
  if (unencryptedRegex !== undefined) {
    const regex = compileRe2(unencryptedRegex)
    return path => !path.some(part => regex.test(part))
  }
  if (encryptedSuffix !== undefined) return path => path.some(part => part.endsWith(encryptedSuffix))
  return path => !path.some(part => part.endsWith(unencryptedSuffix))
}

/** The metadata of a rule, as it stands in a file. */
function ruleFields(rule: SealRule): Record<string, unknown> {
  return {
    ...(rule.encryptedRegex !== undefined
      ? { encrypted_regex: rule.encryptedRegex }
      : rule.unencryptedRegex !== undefined
        ? { unencrypted_regex: rule.unencryptedRegex }
        : rule.encryptedSuffix !== undefined
          ? { encrypted_suffix: rule.encryptedSuffix }
          : { unencrypted_suffix: rule.unencryptedSuffix ?? '_unencrypted' }),
    ...(rule.macOnlyEncrypted ? { mac_only_encrypted: true } : {}),
  }
}

type LeafType = 'str' | 'int' | 'float' | 'bool'

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

function encryptText(
  text: string,
  type: LeafType | 'comment',
  key: Uint8Array,
  additional: string,
  random: Random,
): string {
  const iv = random.bytes(32),
    cipher = createCipheriv('aes-256-gcm', key, iv)
  cipher.setAAD(Buffer.from(additional))
  const data = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return `ENC[AES256_GCM,data:${data.toString('base64')},iv:${Buffer.from(iv).toString('base64')},tag:${cipher.getAuthTag().toString('base64')},type:${type}]`
}

function decryptText(
  sealed: string,
  key: Uint8Array,
  additional: string,
  where: string,
): { type: string; bytes: Buffer } {
  const match = encryptedForm.exec(sealed)
  if (match === null) throw new CorruptDataError(`${where}: not encrypted, though the file says that it is`)
  const [, data = '', iv = '', tag = '', type = ''] = match,
    tagBytes = Buffer.from(tag, 'base64')
  if (tagBytes.length !== 16)
    throw new CorruptDataError(`${where}: the tag has ${tagBytes.length} bytes; 16 were expected`)
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64'))
    decipher.setAAD(Buffer.from(additional))
    decipher.setAuthTag(tagBytes)
    return { type, bytes: Buffer.concat([decipher.update(Buffer.from(data, 'base64')), decipher.final()]) }
  } catch (error) {
    throw new CorruptDataError(
      `${where}: was changed after it was sealed, moved from another place, or sealed with another key`,
      { cause: error },
    )
  }
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

class Mac {
  readonly #hash = createHash('sha512')
  readonly #onlyEncrypted: boolean
  constructor(onlyEncrypted: boolean) {
    this.#onlyEncrypted = onlyEncrypted
    if (onlyEncrypted) this.#hash.update(macOnlyEncryptedSeed)
  }
  add(bytes: string | Uint8Array, isEncrypted: boolean): void {
    if (isEncrypted || !this.#onlyEncrypted) this.#hash.update(bytes)
  }
  text(): string {
    return this.#hash.digest('hex').toUpperCase()
  }
}

const dateText = (nowMs: number): string => `${new Date(nowMs).toISOString().slice(0, 19)}Z`

/** A file as it was sealed before, with the identities that open it. */
export interface SealedBefore {
  text: string
  identities: readonly string[]
}

/**
 * The sealed form of `text`. What did not change since `before` keeps its ciphertext, and a file that did not change at all is given back as
 * it is. Throws BadDataError for what can't be sealed.
 */
export async function seal(
  text: string,
  rule: SealRule,
  { random, nowMs }: SealWorld,
  before?: SealedBefore,
): Promise<string> {
  if (rule.recipients.length === 0) throw new BadDataError('nobody could open it: no age recipient (age1…) is named')
  const document = parse(text),
    isEncrypted = ruleTest(rule)
  if ((document.contents as { has?: (key: string) => boolean }).has?.('sops') === true)
    throw new BadDataError('the file is sealed already')
  const known = before === undefined ? undefined : await openBefore(before, rule)
  const dataKey = known?.dataKey ?? random.bytes(32),
    mac = new Mac(rule.macOnlyEncrypted)
  let changed = known === undefined || known.shape !== shapeOf(text, isEncrypted)
  const sealedText = (plain: string, type: LeafType | 'comment', path: readonly string[]): string => {
    const same = known?.sealed.get(`${additionalOf(path)}\0${type}\0${plain}`)?.shift()
    if (same === undefined) changed = true
    return same ?? encryptText(plain, type, dataKey, additionalOf(path), random)
  }
  const onComment = (node: Node, path: readonly string[]): void => {
    if (!isEncrypted(path)) return
    for (const place of ['commentBefore', 'comment'] as const) {
      const comment = node[place]
      if (comment !== null && comment !== undefined && comment !== '')
        node[place] = comment
          .split('\n')
          .map(line => sealedText(line, 'comment', path))
          .join('\n')
    }
  }
  walk(
    document.contents,
    [],
    (node, path) => {
      const leaf = leafOf(node, path),
        hidden = isEncrypted(path)
      if (leaf === undefined) return
      mac.add(leaf.text, hidden)
      if (!hidden || leaf.text === '') return
      node.value = sealedText(leaf.text, leaf.type, path)
      node.type = 'PLAIN'
      delete node.format
      delete node.source
    },
    onComment,
  )
  if (!changed && before !== undefined) return before.text
  const lastmodified = dateText(nowMs)
  document.set(
    'sops',
    document.createNode({
      age:
        known?.age ??
        (await Promise.all(
          rule.recipients.map(async recipient => ({ recipient, enc: await wrapKey(dataKey, recipient) })),
        )),
      lastmodified,
      mac: encryptText(mac.text(), 'str', dataKey, lastmodified, random),
      ...ruleFields(rule),
      version: sopsVersion,
    }),
  )
  return document.toString({ lineWidth: 0 })
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

interface Known {
  dataKey: Uint8Array
  age: { recipient: string; enc: string }[]
  shape: string
  sealed: Map<string, string[]>
}

/** Undefined where nothing of it can be used again: it can't be opened, or is for others, or by another rule. */
async function openBefore({ text, identities }: SealedBefore, rule: SealRule): Promise<Known | undefined> {
  let file: SealedFile
  try {
    file = await SealedFile.open(text, identities)
  } catch (error) {
    if (error instanceof BadDataError || error instanceof CorruptDataError) return undefined
    throw error
  }
  if (
    file.age.map(a => a.recipient).join() !== rule.recipients.join() ||
    JSON.stringify(ruleFields(file.rule)) !== JSON.stringify(ruleFields(rule))
  )
    return undefined
  const sealed = new Map<string, string[]>()
  const keep = (cipher: string, path: readonly string[]): void => {
    const { type, bytes } = decryptText(cipher, file.dataKey, additionalOf(path), path.join('.')),
      key = `${additionalOf(path)}\0${type}\0${bytes.toString()}`
    const list = sealed.get(key)
    if (list === undefined) sealed.set(key, [cipher])
    else list.push(cipher)
  }
  const isEncrypted = ruleTest(rule)
  try {
    walk(
      file.document.contents,
      [],
      (node, path) => {
        if (isEncrypted(path) && typeof node.value === 'string' && node.value !== '') keep(node.value, path)
      },
      (node, path) => {
        if (isEncrypted(path))
          for (const comment of [node.commentBefore, node.comment])
            for (const line of comment?.split('\n') ?? []) if (encryptedForm.test(line)) keep(line, path)
      },
    )
    await unseal(text, identities)
  } catch (error) {
    if (error instanceof CorruptDataError) return undefined
    throw error
  }
  return { dataKey: file.dataKey, age: file.age, shape: shapeOf(text, isEncrypted), sealed }
}

interface Metadata {
  age?: { recipient?: unknown; enc?: unknown }[]
  lastmodified?: unknown
  mac?: unknown
  mac_only_encrypted?: unknown
  encrypted_regex?: unknown
  unencrypted_regex?: unknown
  encrypted_suffix?: unknown
  unencrypted_suffix?: unknown
  encrypted_comment_regex?: unknown
  unencrypted_comment_regex?: unknown
  version?: unknown
}

function metadataOf(document: Document): Metadata | undefined {
  const metadata = (document.toJS() as { sops?: unknown } | null)?.sops
  return typeof metadata === 'object' && metadata !== null ? metadata : undefined
}

function ruleOf(metadata: Metadata): SealRule {
  if (metadata.encrypted_comment_regex !== undefined || metadata.unencrypted_comment_regex !== undefined)
    throw new BadDataError('sealed by a rule on comments, which is not supported; seal it again with encrypted_regex')
  const field = (
    name: 'encrypted_regex' | 'unencrypted_regex' | 'encrypted_suffix' | 'unencrypted_suffix',
  ): string | undefined => {
    const value = metadata[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const encryptedRegex = field('encrypted_regex'),
    unencryptedRegex = field('unencrypted_regex'),
    encryptedSuffix = field('encrypted_suffix'),
    unencryptedSuffix = field('unencrypted_suffix')
  return {
    ...(encryptedRegex === undefined ? {} : { encryptedRegex }),
    ...(unencryptedRegex === undefined ? {} : { unencryptedRegex }),
    ...(encryptedSuffix === undefined ? {} : { encryptedSuffix }),
    ...(unencryptedSuffix === undefined ? {} : { unencryptedSuffix }),
    macOnlyEncrypted: metadata.mac_only_encrypted === true,
    recipients: (metadata.age ?? []).map(a => String(a.recipient)),
  }
}

class SealedFile {
  readonly document: Document.Parsed<ParsedNode>
  readonly rule: SealRule
  readonly age: { recipient: string; enc: string }[]
  readonly dataKey: Uint8Array
  readonly metadata: Metadata
  private constructor(
    document: Document.Parsed<ParsedNode>,
    metadata: Metadata,
    age: { recipient: string; enc: string }[],
    dataKey: Uint8Array,
  ) {
    this.document = document
    this.metadata = metadata
    this.rule = ruleOf(metadata)
    this.age = age
    this.dataKey = dataKey
  }

  static async open(text: string, identities: readonly string[]): Promise<SealedFile> {
    const document = parse(text),
      metadata = metadataOf(document)
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

/** The clear form. Throws CorruptDataError where a value or the MAC does not fit, BadDataError where it can't be opened. */
export async function unseal(text: string, identities: readonly string[]): Promise<string> {
  const { document, rule, dataKey, metadata } = await SealedFile.open(text, identities)
  const isEncrypted = ruleTest(rule),
    mac = new Mac(rule.macOnlyEncrypted)
  walk(
    document.contents,
    [],
    (node, path) => {
      const hidden = isEncrypted(path)
      if (node.value === null) return
      if (!hidden || node.value === '') {
        const leaf = leafOf(node, path)
        if (leaf !== undefined) mac.add(leaf.text, hidden)
        return
      }
      if (typeof node.value !== 'string')
        throw new CorruptDataError(`${path.join('.')}: not encrypted, though the file says that it is`)
      const { type, bytes } = decryptText(node.value, dataKey, additionalOf(path), path.join('.'))
      mac.add(bytes, true)
      setPlain(node, type, bytes, path)
    },
    (node, path) => {
      if (!isEncrypted(path)) return
      for (const place of ['commentBefore', 'comment'] as const) {
        const comment = node[place]
        if (comment !== null && comment !== undefined)
          node[place] = comment
            .split('\n')
            .map(line =>
              encryptedForm.test(line.trim())
                ? decryptText(
                    line.trim(),
                    dataKey,
                    additionalOf(path),
                    `a comment at ${path.join('.')}`,
                  ).bytes.toString()
                : line,
            )
            .join('\n')
      }
    },
  )
  const stored = decryptText(String(metadata.mac), dataKey, String(metadata.lastmodified), 'the MAC').bytes.toString()
  if (stored !== mac.text())
    throw new CorruptDataError('the MAC does not fit: a value was changed, added or removed after the file was sealed')
  document.delete('sops')
  return document.toString({ lineWidth: 0 })
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
 * Why a file must not be committed: a Secret that is not sealed, or a sealed file with a value in clear that should not be. Empty where all is
 * well. Needs no key; with identities the MAC is checked too.
 */
export async function secretProblems(text: string, identities: readonly string[] = []): Promise<string[]> {
  const problems: string[] = []
  for (const part of text.split(/^---\s*$/m)) {
    if (part.trim() === '') continue
    const document = parseDocument(part, { intAsBigInt: true })
    if (document.errors.length > 0 || !isMap(document.contents)) continue
    const metadata = metadataOf(document),
      isSecret = document.get('kind') === 'Secret'
    if (metadata === undefined && !isSecret) continue
    const isEncrypted =
      metadata === undefined
        ? ruleTest({ encryptedRegex: '^(data|stringData)$', macOnlyEncrypted: true, recipients: [] })
        : ruleTest(ruleOf(metadata))
    const found: string[] = []
    walk(document.contents, [], (node, path) => {
      const mustBe = isEncrypted(path) || (isSecret && (path[0] === 'data' || path[0] === 'stringData'))
      if (
        mustBe &&
        node.value !== null &&
        node.value !== '' &&
        !(typeof node.value === 'string' && encryptedForm.test(node.value))
      )
        found.push(`${path.join('.')} is in clear`)
    })
    if (metadata === undefined && found.length > 0)
      problems.push(`the Secret ${String(document.getIn(['metadata', 'name']))} is not sealed: ${found.join(', ')}`)
    else problems.push(...found)
    if (metadata !== undefined && identities.length > 0 && found.length === 0) {
      try {
        await unseal(part, identities)
      } catch (error) {
        if (error instanceof CorruptDataError) problems.push(error.message)
        else if (!(error instanceof BadDataError)) throw error
      }
    }
  }
  return problems
}

/** `.sops.yaml`: the first rule whose path fits. */
export interface CreationRule {
  pathRegex: string
  rule: SealRule
}

export function sopsConfigText(recipients: readonly string[], root: string): string {
  return `# Which files sops, and tercet deploy seal, encrypt, and for whom.
creation_rules:
  - path_regex: ${root.replace(/\/+$/, '').split('/').at(0) ?? 'kubernetes'}/.*\\.sops\\.ya?ml$
    encrypted_regex: ^(data|stringData)$
    mac_only_encrypted: true
    age: ${JSON.stringify(recipients.join(','))}
stores:
  yaml:
    indent: 2
`
}

export function readSopsConfig(text: string): CreationRule[] {
  const document = parseDocument(text),
    [error] = document.errors
  if (error !== undefined) throw new BadDataError(`.sops.yaml: ${error.message}`)
  const rules = (document.toJS() as { creation_rules?: unknown } | null)?.creation_rules
  if (!Array.isArray(rules)) throw new BadDataError('.sops.yaml: creation_rules is not there')
  return rules.map((value: Record<string, unknown>, i): CreationRule => {
    const groups = Array.isArray(value['key_groups'])
      ? (value['key_groups'] as { age?: string[] }[]).flatMap(g => g.age ?? [])
      : []
    const age = value['age'],
      own =
        typeof age === 'string'
          ? age
              .split(',')
              .map(a => a.trim())
              .filter(a => a !== '')
          : Array.isArray(age)
            ? age.map(String)
            : []
    const recipients = [...own, ...groups]
    if (recipients.length === 0) throw new BadDataError(`.sops.yaml: creation_rules[${i}] names no age recipient`)
    const text = (name: string): string | undefined => {
      const field = value[name]
      return typeof field === 'string' ? field : undefined
    }
    const given = ['encrypted_regex', 'unencrypted_regex', 'encrypted_suffix', 'unencrypted_suffix'].filter(
      name => text(name) !== undefined,
    )
    if (given.length > 1)
      throw new BadDataError(`.sops.yaml: creation_rules[${i}] has ${given.join(' and ')}; one of them was expected`)
    const rule = ruleOf({
      encrypted_regex: text('encrypted_regex'),
      unencrypted_regex: text('unencrypted_regex'),
      encrypted_suffix: text('encrypted_suffix'),
      unencrypted_suffix: text('unencrypted_suffix'),
      mac_only_encrypted: value['mac_only_encrypted'],
    })
    return { pathRegex: text('path_regex') ?? '', rule: { ...rule, recipients } }
  })
}

export function ruleForPath(rules: readonly CreationRule[], path: string): SealRule | undefined {
  return rules.find(r => compileRe2(r.pathRegex).test(path))?.rule
}

/** Identities in a file of age-keygen: lines that begin with AGE-SECRET-KEY-. */
export function identitiesIn(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line.startsWith('AGE-SECRET-KEY-'))
}
