/**
 * Parquet schemas: a tree of groups and leaves, and the leaves with their levels. Source: the public format
 * description (parquet-format).
 */
import { CorruptDataError } from '#core/errors.ts'
import type { ThriftField, ThriftStruct } from './thrift.ts'

/** How often a node stands in its parent: once, at most once, any number of times. */
export type Repetition = 'required' | 'optional' | 'repeated'
/** What a leaf holds. `text` is `bytes` that are UTF-8; u64 and i64 are the same 64 bits. */
export type LeafType = 'bool' | 'i32' | 'u32' | 'i64' | 'u64' | 'f64' | 'bytes' | 'text'
/** How a leaf's values are written. */
export type LeafEncoding = 'plain' | 'delta' | 'delta-length' | 'dictionary'

/** A column with values. */
export interface SchemaLeaf {
  name: string
  repetition: Repetition
  type: LeafType
  encoding: LeafEncoding
  isSnappy: boolean
}
/** `logical`: what readers take the group for. */
export interface SchemaGroup {
  name: string
  repetition: Repetition
  children: SchemaNode[]
  logical?: 'list' | 'map'
}
/** A leaf, or a group of nodes. */
export type SchemaNode = SchemaLeaf | SchemaGroup

/** A leaf with its path from the root (dots between) and its highest levels. */
export interface Column {
  path: string
  leaf: SchemaLeaf
  maxRep: number
  maxDef: number
}

/** The leaves below `root`, in depth-first order. */
export function columnsOf(root: SchemaGroup): Column[] {
  const columns: Column[] = []
  const walk = (node: SchemaNode, path: string, rep: number, def: number): void => {
    const r = rep + (node.repetition === 'repeated' ? 1 : 0)
    const d = def + (node.repetition === 'required' ? 0 : 1)
    if ('children' in node) for (const child of node.children) walk(child, `${path}${node.name}.`, r, d)
    else columns.push({ path: `${path}${node.name}`, leaf: node, maxRep: r, maxDef: d })
  }
  for (const child of root.children) walk(child, '', 0, 0)
  return columns
}

/** Physical types by their numbers in the format. */
export const physicalTypes = { bool: 0, i32: 1, u32: 1, i64: 2, u64: 2, f64: 5, bytes: 6, text: 6 } as const
const repetitions = ['required', 'optional', 'repeated'] as const
const convertedTypes: Partial<Record<LeafType, number>> = { text: 0, u32: 13, u64: 14, i32: 17, i64: 18 }
const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8')

function logicalType(type: LeafType): ThriftField[] {
  if (type === 'text') return [[10, 'struct', [[1, 'struct', []]]]]
  if (type === 'bytes' || type === 'bool' || type === 'f64') return []
  return [
    [
      10,
      'struct',
      [
        [
          10,
          'struct',
          [
            [1, 'i8', type.endsWith('64') ? 64 : 32],
            [2, 'bool', type.startsWith('i')],
          ],
        ],
      ],
    ],
  ]
}

/** The schema as the footer has it: elements in depth-first order. */
export function schemaElements(root: SchemaGroup): ThriftField[][] {
  const elements: ThriftField[][] = []
  const walk = (node: SchemaNode, isRoot: boolean): void => {
    const repetition: ThriftField[] = isRoot ? [] : [[3, 'i32', repetitions.indexOf(node.repetition)]]
    if ('children' in node) {
      const logical: ThriftField[] =
        node.logical === undefined
          ? []
          : node.logical === 'list'
            ? [
                [6, 'i32', 3],
                [10, 'struct', [[3, 'struct', []]]],
              ]
            : [
                [6, 'i32', 1],
                [10, 'struct', [[2, 'struct', []]]],
              ]
      elements.push([...repetition, [4, 'binary', utf8(node.name)], [5, 'i32', node.children.length], ...logical])
      for (const child of node.children) walk(child, false)
      return
    }
    const converted = convertedTypes[node.type]
    // Bits of a value, as Tempo's library writes them.
    const bits = [1, 32, 64, 0, 0, 64][physicalTypes[node.type]] ?? 0
    elements.push([
      [1, 'i32', physicalTypes[node.type]],
      ...(bits === 0 ? [] : [[2, 'i32', bits] as ThriftField]),
      ...repetition,
      [4, 'binary', utf8(node.name)],
      ...(converted === undefined ? [] : [[6, 'i32', converted] as ThriftField]),
      ...logicalType(node.type),
    ])
  }
  walk(root, true)
  return elements
}

/** The columns that a footer's schema describes. Encodings are the pages' own: those here say nothing. */
export function readSchema(elements: readonly ThriftStruct[]): Column[] {
  const columns: Column[] = []
  let next = 0
  const walk = (path: string, rep: number, def: number, depth: number): void => {
    const element = elements[next++]
    if (element === undefined || depth > 40) throw new CorruptDataError('parquet: the schema is cut off')
    const children = element.get(5)
    const repetition = repetitions[Number(element.get(3) ?? 0)] ?? 'required'
    const name = Buffer.from(element.get(4) as Uint8Array).toString('utf8')
    const isRoot = depth === 0
    const r = rep + (!isRoot && repetition === 'repeated' ? 1 : 0)
    const d = def + (isRoot || repetition === 'required' ? 0 : 1)
    if (typeof children === 'number' && children > 0) {
      for (let i = 0; i < children; i++) walk(isRoot ? '' : `${path}${name}.`, r, d, depth + 1)
      return
    }
    const physical = Number(element.get(1))
    const converted = element.get(6)
    const type = (['bool', 'i32', 'i64', undefined, undefined, 'f64', 'bytes'] as const)[physical]
    if (type === undefined)
      throw new CorruptDataError(`parquet: the physical type ${physical} of ${name} is not used here`)
    columns.push({
      path: `${path}${name}`,
      leaf: {
        name,
        repetition,
        type: type === 'bytes' && converted === 0 ? 'text' : type,
        encoding: 'plain',
        isSnappy: false,
      },
      maxRep: r,
      maxDef: d,
    })
  }
  walk('', 0, 0, 0)
  return columns
}
