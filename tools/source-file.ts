/** A source file as the checks see it: its lines, functions, exports and imports, from its syntax tree. */
import { parseSync, type Comment } from 'oxc-parser'

export interface FunctionSpan {
  name: string
  /** First line, from 1, and how many lines. */
  line: number
  lines: number
}

export interface SourceFile {
  path: string
  lines: readonly string[]
  functions: FunctionSpan[]
  /** Exported functions, classes, interfaces, types and constants, and how many of them have a docstring. */
  exports: number
  documented: number
  /** `x!` that is not an index inside its bounds. */
  assertions: number
  /** `x[i]!`. */
  indexAssertions: number
  /** `x as T`, without `as const`. */
  casts: number
}

interface SyntaxNode {
  type: string
  start: number
  end: number
  [key: string]: unknown
}

const functionTypes = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'])
const namedTypes = new Set(['MethodDefinition', 'PropertyDefinition', 'Property', 'VariableDeclarator'])

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value
}

/** Throws when the file does not parse. */
export function readSource(path: string, text: string): SourceFile {
  const { program, comments, errors } = parseSync(path, text)
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message ?? 'does not parse'}`)
  const lineAt = lineFinder(text)
  const file: SourceFile = {
    path,
    lines: text.split('\n'),
    functions: [],
    exports: 0,
    documented: 0,
    assertions: 0,
    indexAssertions: 0,
    casts: 0,
  }
  const root: unknown = program
  if (isNode(root)) {
    visit(root, '', file, lineAt)
    countExports(root, comments, text, file)
  }
  return file
}

/** The line, from 1, of an offset. */
function lineFinder(text: string): (offset: number) => number {
  const starts = [0]
  for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) starts.push(i + 1)
  return offset => {
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return low + 1
  }
}

function nameOf(node: SyntaxNode): string | undefined {
  const key = namedTypes.has(node.type) ? (node['key'] ?? node['id']) : node['id']
  return isNode(key) && typeof key['name'] === 'string' ? key['name'] : undefined
}

function visit(node: SyntaxNode, outerName: string, file: SourceFile, lineAt: (offset: number) => number): void {
  const name = nameOf(node) ?? outerName
  if (functionTypes.has(node.type) && isNode(node['body'])) {
    const line = lineAt(node.start)
    file.functions.push({ name, line, lines: lineAt(node.end) - line + 1 })
  }
  if (node.type === 'TSNonNullExpression') countAssertion(node, file)
  if (node.type === 'TSAsExpression' && !isConst(node)) file.casts++
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) visit(child, name, file, lineAt)
  }
}

function countAssertion(node: SyntaxNode, file: SourceFile): void {
  const inner = node['expression']
  if (isNode(inner) && inner.type === 'MemberExpression' && inner['computed'] === true) file.indexAssertions++
  else file.assertions++
}

/** `as const`. */
function isConst(node: SyntaxNode): boolean {
  const type = node['typeAnnotation']
  const name = isNode(type) ? type['typeName'] : undefined
  return isNode(name) && name['name'] === 'const'
}

/** A docstring is a block comment of two stars with only white space between it and the declaration. */
function countExports(program: SyntaxNode, comments: readonly Comment[], text: string, file: SourceFile): void {
  const body = program['body']
  if (!Array.isArray(body)) return
  for (const statement of body) {
    if (!isNode(statement) || statement.type !== 'ExportNamedDeclaration' || !isNode(statement['declaration'])) continue
    file.exports++
    const before = comments.findLast(comment => comment.end <= statement.start)
    const isDocumented =
      before !== undefined && before.value.startsWith('*') && text.slice(before.end, statement.start).trim() === ''
    if (isDocumented) file.documented++
  }
}
