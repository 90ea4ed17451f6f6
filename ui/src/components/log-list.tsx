/** Lines, as many as there are: only those in sight are in the page. */
import { Virtualizer, elementScroll, observeElementOffset, observeElementRect } from '@tanstack/virtual-core'
import type { Ref } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { clockTime, dateTime, visible } from '../format.ts'

export interface LogLine {
  timeMs: number
  timeNs: string
  text: string
  stream: Record<string, string>
  metadata: Record<string, string>
}

export function levelOf(line: LogLine): string {
  const level = (
    line.metadata['detected_level'] ??
    line.stream['detected_level'] ??
    line.stream['level'] ??
    ''
  ).toLowerCase()
  return level === 'warning'
    ? 'warn'
    : level === 'fatal'
      ? 'critical'
      : ['error', 'critical', 'warn', 'info', 'debug', 'trace'].includes(level)
        ? level
        : ''
}

/** A trace's id in the metadata, or in the line. */
export function traceIdOf(line: LogLine): string | undefined {
  return (
    line.metadata['trace_id'] ??
    line.stream['trace_id'] ??
    /"?trace_?[iI][dD]"?[=:]\s*"?([0-9a-fA-F]{16,32})/.exec(line.text.slice(0, 20_000))?.[1]
  )
}

const longMax = 3000
const openMax = 200_000

interface RowProps {
  line: LogLine
  isOpen: boolean
  words: readonly string[]
  onOpen: () => void
  onFilter: (name: string, value: string) => void
  onContext: (line: LogLine) => void
}

function Row({ line, isOpen, words, onOpen, onFilter, onContext }: RowProps) {
  const trace = traceIdOf(line)
  const text = line.text.slice(0, isOpen ? openMax : longMax),
    rest = line.text.length - text.length
  return (
    <>
      <button
        class="open"
        aria-expanded={isOpen}
        aria-label={isOpen ? 'Close the line' : 'Open the line'}
        onClick={onOpen}
      >
        {isOpen ? '▾' : '▸'}
      </button>
      <span class="when mono" title={dateTime(line.timeMs)}>
        {clockTime(line.timeMs, true)}
      </span>
      <span class="text mono" dir="auto">
        <Marked text={text} words={words} />
        {rest > 0 && <span class="dim"> … {rest} more characters</span>}
        {isOpen && <Fields line={line} trace={trace} onFilter={onFilter} onContext={onContext} />}
      </span>
      {!isOpen && trace !== undefined && <a href={`/ui/trace/${encodeURIComponent(trace)}`}>trace</a>}
    </>
  )
}

type FieldsProps = Pick<RowProps, 'line' | 'onFilter' | 'onContext'> & { trace: string | undefined }

/** Labels and metadata of an open line, its time and its trace. */
function Fields({ line, trace, onFilter, onContext }: FieldsProps) {
  return (
    <dl
      onClick={e => {
        e.stopPropagation()
      }}
    >
      {Object.entries({ ...line.stream, ...line.metadata }).map(([name, value]) => (
        <>
          <dt>{name}</dt>
          <dd>
            {visible(value)}{' '}
            <button
              class="link"
              onClick={() => {
                onFilter(name, value)
              }}
            >
              only these
            </button>
          </dd>
        </>
      ))}
      <dt>time</dt>
      <dd>
        {dateTime(line.timeMs)}{' '}
        <button
          class="link"
          onClick={() => {
            onContext(line)
          }}
        >
          lines around it
        </button>
      </dd>
      {trace !== undefined && (
        <>
          <dt>trace</dt>
          <dd>
            <a href={`/ui/trace/${encodeURIComponent(trace)}`}>{trace}</a>
          </dd>
        </>
      )}
    </dl>
  )
}

/** The words of the filter are marked; control characters are shown, not obeyed. */
function Marked({ text, words }: { text: string; words: readonly string[] }) {
  const clean = visible(text)
  const known = words.filter(w => w !== '')
  if (known.length === 0) return <>{clean}</>
  const parts: (string | { word: string })[] = []
  let at = 0
  while (at < clean.length) {
    let next = -1,
      word = ''
    for (const w of known) {
      const found = clean.indexOf(w, at)
      if (found >= 0 && (next < 0 || found < next)) {
        next = found
        word = w
      }
    }
    if (next < 0) {
      parts.push(clean.slice(at))
      break
    }
    if (next > at) parts.push(clean.slice(at, next))
    parts.push({ word })
    at = next + word.length
  }
  return <>{parts.map((p, i) => (typeof p === 'string' ? p : <mark key={i}>{p.word}</mark>))}</>
}

type ListVirtualizer = Virtualizer<HTMLDivElement, HTMLDivElement>

/** The lines that are in sight, of as many as there are; `isFollowing` keeps the last one in sight. */
function useVirtual(lines: readonly LogLine[], isFollowing: boolean): [Ref<HTMLDivElement | null>, ListVirtualizer] {
  const box = useRef<HTMLDivElement | null>(null)
  const [, redraw] = useState(0)
  const kept = useRef<ListVirtualizer | undefined>(undefined)
  kept.current ??= new Virtualizer<HTMLDivElement, HTMLDivElement>({
    count: 0,
    getScrollElement: () => box.current,
    estimateSize: () => 24,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    overscan: 12,
    onChange: () => {
      redraw(n => n + 1)
    },
  })
  const virtual = kept.current
  virtual.setOptions({
    ...virtual.options,
    count: lines.length,
    getItemKey: i => (lines[i]?.timeNs === undefined ? i : `${lines[i].timeNs}-${i}`),
  })
  useEffect(() => {
    const clean = virtual._didMount()
    virtual._willUpdate()
    redraw(n => n + 1)
    return clean
  }, [])
  useEffect(() => {
    virtual._willUpdate()
    if (isFollowing && lines.length > 0) virtual.scrollToIndex(lines.length - 1)
  }, [lines, isFollowing])
  return [box, virtual]
}

type LogListProps = Pick<RowProps, 'words' | 'onFilter' | 'onContext'> & {
  lines: readonly LogLine[]
  label: string
  isFollowing?: boolean
}

export function LogList({ lines, words, label, isFollowing = false, onFilter, onContext }: LogListProps) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set())
  const [box, virtual] = useVirtual(lines, isFollowing)
  const height = virtual.getTotalSize()
  const toggle = (key: string): void => {
    setOpen(before => {
      const next = new Set(before)
      if (!next.delete(key)) next.add(key)
      return next
    })
  }
  return (
    <div
      class="lines"
      style={{ height: `min(62vh, 720px, ${Math.max(60, height + 4)}px)` }}
      ref={box}
      tabIndex={0}
      role="region"
      aria-label={label}
    >
      <div class="spacer" style={{ height: `${height}px` }}>
        {virtual.getVirtualItems().map(item => {
          const line = lines[item.index]
          if (line === undefined) return undefined
          const key = `${line.timeNs}-${item.index}`
          const isOpen = open.has(key)
          return (
            <div
              key={key}
              class={`line level-${levelOf(line) || 'none'} ${isOpen ? 'open' : ''}`}
              data-index={item.index}
              ref={element => {
                if (element !== null) virtual.measureElement(element)
              }}
              style={{ transform: `translateY(${item.start}px)` }}
            >
              <Row
                line={line}
                isOpen={isOpen}
                words={words}
                onFilter={onFilter}
                onContext={onContext}
                onOpen={() => {
                  toggle(key)
                }}
              />
            </div>
          )
        })}
      </div>
    </div>
  )
}
