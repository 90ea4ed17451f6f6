/**
 * The query editor: CodeMirror, loaded when the first one is seen; until then, and where it can't be, a plain text
 * box.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { EditorHandle, Language } from './codemirror.ts'

export interface EditorProps {
  language: Language
  value: string
  label: string
  onRun: (text: string) => void
  onChange?: (text: string) => void
  error?: { message: string; from: number } | undefined
}

export function Editor({ language, value, label, onRun, onChange, error }: EditorProps) {
  const place = useRef<HTMLDivElement | null>(null),
    handle = useRef<EditorHandle | undefined>(undefined),
    [isRich, setRich] = useState(false),
    text = useRef(value),
    plain = useRef<HTMLTextAreaElement | null>(null),
    actions = useRef({ onRun, onChange })
  actions.current = { onRun, onChange }
  useEffect(() => {
    let isGone = false
    import('./codemirror.ts').then(
      ({ mountEditor }) => {
        if (isGone || place.current === null) return
        // Who has begun to write goes on writing.
        const isWriting = document.activeElement === plain.current && plain.current !== null
        handle.current = mountEditor(place.current, {
          language,
          value: text.current,
          label,
          onRun: t => {
            actions.current.onRun(t)
          },
          onChange: t => {
            text.current = t
            actions.current.onChange?.(t)
          },
        })
        setRich(true)
        if (isWriting)
          requestAnimationFrame(() => {
            handle.current?.focus()
          })
      },
      () => undefined,
    )
    return () => {
      isGone = true
      handle.current?.destroy()
      handle.current = undefined
    }
  }, [language])
  useEffect(() => {
    text.current = value
    handle.current?.set(value)
  }, [value])
  useEffect(() => {
    handle.current?.mark(error)
  }, [error?.message, error?.from, isRich])
  return (
    <div class="editor">
      <div ref={place} hidden={!isRich} />
      {!isRich && (
        <textarea
          ref={plain}
          aria-label={label}
          rows={1}
          value={value}
          spellcheck={false}
          onInput={e => {
            text.current = e.currentTarget.value
            onChange?.(e.currentTarget.value)
          }}
          onKeyDown={e => {
            if (e.key === 'Enter' && !e.shiftKey) {
              e.preventDefault()
              onRun(e.currentTarget.value)
            }
          }}
        />
      )}
    </div>
  )
}

/** Offset of a position that a message names: `1:5: parse error`, `at line 1, col 5`. */
export function placeOf(message: string | undefined, text: string): { message: string; from: number } | undefined {
  if (message === undefined) return undefined
  const match = /(\d+):(\d+): /.exec(message) ?? /line (\d+), col(?:umn)? (\d+)/.exec(message)
  if (match === null) return undefined
  const lines = text.split('\n'),
    line = Number(match[1]),
    before = lines.slice(0, line - 1).reduce((sum, l) => sum + l.length + 1, 0)
  return { message, from: Math.min(text.length, before + Number(match[2]) - 1) }
}
