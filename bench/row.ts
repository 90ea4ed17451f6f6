/**
 * One row of the table of costs, and how rows become Markdown. Another program adds rows of its own by printing them,
 * one a line, as JSON: `{"work":"GETs, needle over 24 h","unit":"","values":{"tercet":53}}`.
 */
import { november } from './november.ts'

/** What is a column, and its heading. `again` is a second process of the same program, which shows what equal is. */
export const columns = {
  tercet: 'Tercet',
  'tercet, nocache': 'Tercet, nocache=1',
  'tercet again': 'Tercet again',
  'victoria-metrics': 'VictoriaMetrics',
  'victoria-metrics, nocache': 'VictoriaMetrics, nocache=1',
  prometheus: 'Prometheus',
  'victoria-logs': 'VictoriaLogs',
  loki: 'Loki',
  tempo: 'Tempo',
} as const

export type Column = keyof typeof columns

export const sections = {
  metrics: 'Metrics',
  logs: 'Logs',
  traces: 'Traces',
  process: 'The process',
  s3: 'On S3',
} as const

export type Section = keyof typeof sections

export interface Row {
  section: Section
  work: string
  /** Empty: a count, or a ratio. */
  unit: string
  /** A figure of each round; a column that is not there could not do the work. Less is better. */
  values: Partial<Record<Column, readonly number[]>>
  note?: string
  /** One query of many: kept in the file, and not in the table. */
  isDetail?: boolean
}

/** As another program prints it: one figure a column, or one of each round; without a section it is of its own. */
interface PrintedRow {
  section?: Section
  work: string
  unit: string
  values: Partial<Record<Column, number | readonly number[]>>
  note?: string
}

/** A line that another program printed; undefined: it is no row. */
export function parseRow(line: string, ownSection: Section): Row | undefined {
  if (!line.startsWith('{')) return undefined
  const { section = ownSection, work, unit, values, note } = JSON.parse(line) as PrintedRow
  const lists = Object.entries(values).map(([column, value]) => [column, [value].flat()] as const)
  const isRow = typeof work === 'string' && typeof unit === 'string' && section in sections
  if (!isRow || !lists.every(([column, list]) => column in columns && isFigures(list)))
    throw new Error(`this is no row of the table: ${line}`)
  const row: Row = { section, work, unit, values: Object.fromEntries(lists) }
  return note === undefined || note === '' ? row : { ...row, note }
}

function isFigures(list: readonly unknown[]): boolean {
  return list.length > 0 && list.every(value => typeof value === 'number')
}

export function meanOf(list: readonly number[]): number {
  return list.reduce((sum, value) => sum + value, 0) / list.length
}

/** Half the distance between the largest and the smallest, as a share of the mean. */
export function spreadOf(list: readonly number[]): number {
  const mean = meanOf(list)
  return mean === 0 ? 0 : (Math.max(...list) - Math.min(...list)) / 2 / mean
}

/** Columns that Tercet is compared with. */
export function peersOf(row: Row): Column[] {
  return (Object.keys(columns) as Column[]).filter(name => !name.startsWith('tercet') && row.values[name] !== undefined)
}

/** What of Tercet is compared with a peer: where that takes nothing from a cache of answers, neither does Tercet. */
function ownOf({ values }: Row, peer: Column): readonly number[] | undefined {
  return peer.endsWith(', nocache') ? (values['tercet, nocache'] ?? values.tercet) : values.tercet
}

/** The mean of Tercet divided by that of a peer; NaN where one of them is not there. */
export function ratioOf(row: Row, peer: Column): number {
  const [own, theirs] = [ownOf(row, peer), row.values[peer]]
  return own === undefined || theirs === undefined ? NaN : meanOf(own) / meanOf(theirs)
}

/** Of each round by itself: the lowest and the highest. */
function ratioRange(row: Row, peer: Column): [number, number] {
  const [own, theirs] = [ownOf(row, peer) ?? [], row.values[peer] ?? []]
  const ratios = own.slice(0, theirs.length).map((value, round) => value / theirs[round]!)
  return [Math.min(...ratios), Math.max(...ratios)]
}

/** Three digits, and none in powers of ten. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return ''
  return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3)))
}

function figureCell(list: readonly number[] | undefined): string {
  if (list === undefined) return ''
  return list.length < 2 ? shown(meanOf(list)) : `${shown(meanOf(list))} ±${(spreadOf(list) * 100).toFixed(0)} %`
}

function ratioText(row: Row, peer: Column): string {
  const [least, most] = ratioRange(row, peer)
  const range = shown(least) === shown(most) ? '' : ` (${shown(least)}–${shown(most)})`
  return `${shown(ratioOf(row, peer))} × ${columns[peer]}${range}`
}

function ratioCell(row: Row): string {
  if (row.values.tercet === undefined) return ''
  return peersOf(row)
    .map(peer => ratioText(row, peer))
    .join(', ')
}

function againCell(row: Row): string {
  const [own, again] = [row.values.tercet, row.values['tercet again']]
  return own === undefined || again === undefined ? '' : shown(meanOf(again) / meanOf(own))
}

export const tableLine = (cells: readonly string[]): string =>
  `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`

/** Columns of a section: those of `wanted` that one of its rows has, and those whose program is not here. */
function columnsOf(rows: readonly Row[], absent: readonly Column[]): Column[] {
  return (Object.keys(columns) as Column[]).filter(
    name => name !== 'tercet again' && (absent.includes(name) || rows.some(row => row.values[name] !== undefined)),
  )
}

function rowLine(row: Row, names: readonly Column[]): string {
  const before = november[row.work]
  return tableLine([
    row.unit === '' ? row.work : `${row.work}, ${row.unit}`,
    before?.ratio ?? '',
    ratioCell(row),
    ...names.map(name => figureCell(row.values[name])),
    againCell(row),
    before?.bar ?? '',
    row.note ?? '',
  ])
}

/** Peers that a section's rows are about, whether they are here or not. */
const peersOfSection: Readonly<Record<Section, readonly Column[]>> = {
  metrics: ['victoria-metrics', 'prometheus'],
  logs: ['victoria-logs', 'loki'],
  traces: ['tempo'],
  process: [],
  s3: [],
}

function sectionTable(section: Section, rows: readonly Row[], absent: readonly Column[]): string[] {
  const names = columnsOf(
    rows,
    absent.filter(name => peersOfSection[section].includes(name)),
  )
  const headings = names.map(name => (absent.includes(name) ? `${columns[name]} (not here)` : columns[name]))
  const head = ['work', 'November', 'now: Tercet ÷', ...headings, 'A/A', 'bar', 'note']
  return [
    `### ${sections[section]}`,
    '',
    tableLine(head),
    tableLine(head.map(() => '---')),
    ...rows.map(row => rowLine(row, names)),
    '',
  ]
}

/** A table a section; `absent`: programs that are not here, whose columns stay empty. */
export function markdownOf(rows: readonly Row[], absent: readonly Column[], hasDetails = false): string {
  const shownRows = rows.filter(row => hasDetails || row.isDetail !== true)
  return (Object.keys(sections) as Section[])
    .map(section => ({ section, own: shownRows.filter(row => row.section === section) }))
    .filter(({ own }) => own.length > 0)
    .flatMap(({ section, own }) => sectionTable(section, own, absent))
    .join('\n')
}
