/**
 * CodeMirror with the three query languages: highlighting by the grammars of their makers, completion from what the
 * process has.
 */
import {
  acceptCompletion,
  autocompletion,
  closeBrackets,
  completionKeymap,
  type Completion,
  type CompletionContext,
  type CompletionResult,
} from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { HighlightStyle, LRLanguage, LanguageSupport, syntaxHighlighting } from '@codemirror/language'
import { setDiagnostics } from '@codemirror/lint'
import { EditorState, Prec, type Extension } from '@codemirror/state'
import { EditorView, keymap, placeholder } from '@codemirror/view'
import { styleTags, tags } from '@lezer/highlight'
import { parser as logqlParser } from '@grafana/lezer-logql'
import { parser as traceqlParser } from '@grafana/lezer-traceql'
import { PromQLExtension } from '@prometheus-io/codemirror-promql'
import { get } from '../api.ts'

export type Language = 'promql' | 'logql' | 'traceql'
export interface EditorHandle {
  set(text: string): void
  /** At the end of what is there. */ focus(): void
  mark(error: { message: string; from: number } | undefined): void
  destroy(): void
}
export interface MountOptions {
  language: Language
  value: string
  label: string
  onRun: (text: string) => void
  onChange: (text: string) => void
}

const colors = HighlightStyle.define([
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], color: 'var(--c3)' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--c2)' },
  { tag: [tags.number, tags.bool], color: 'var(--c1)' },
  { tag: [tags.function(tags.variableName), tags.operator], color: 'var(--c0)' },
  { tag: tags.labelName, color: 'var(--c5)' },
  { tag: tags.comment, color: 'var(--dim)' },
])
const look = EditorView.theme({
  '&': { backgroundColor: 'transparent' },
  '.cm-content': { fontFamily: 'ui-monospace, monospace', caretColor: 'var(--text)', padding: '5px 0' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-tooltip': { backgroundColor: 'var(--raised)', border: '1px solid var(--line)', color: 'var(--text)' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--accent)', color: 'var(--on-accent)' },
  '.cm-placeholder': { color: 'var(--dim)' },
  '&.cm-focused': { outline: 'none' },
})

const logqlColors = styleTags({
  ['Json Logfmt Unpack Pattern Regexp Unwrap LabelFormat LineFormat Offset On Ignoring GroupLeft ' +
  'GroupRight Decolorize Drop Keep By Without And Or Unless Bool Ip']: tags.keyword,
  'Sum Avg Count Max Min Stddev Stdvar Bottomk Topk Sort Sort_Desc Approx_Topk LabelReplace Vector RangeOp/...':
    tags.function(tags.variableName),
  ['CountOverTime Rate RateCounter BytesOverTime BytesRate AvgOverTime SumOverTime MinOverTime ' +
  'MaxOverTime StddevOverTime StdvarOverTime QuantileOverTime FirstOverTime LastOverTime AbsentOverTime']:
    tags.function(tags.variableName),
  String: tags.string,
  'Number Duration Bytes Range': tags.number,
  'Identifier LabelName': tags.labelName,
  LineComment: tags.comment,
  'Eq Neq Re Nre PipeExact PipeMatch PipePattern Npa Pipe Gtr Gte Lss Lte Eql Add Sub Mul Div Mod Pow': tags.operator,
})
const traceqlColors = styleTags({
  String: tags.string,
  'Integer Float Duration': tags.number,
  'AttributeField/... IntrinsicField/...': tags.labelName,
  'LineComment BlockComment': tags.comment,
  'FieldOp SpansetPipeline/Pipe Pipe ComparisonOp And Or ScalarOp Gt Lt Desc Anc UnionStructuralOp ExperimentalOp':
    tags.operator,
  ['Aggregate MetricsOperationBasicType MetricsOperationHistogram MetricsOperationQuantile ' +
  'MetricsOverTimeType MetricsOperationCompare MetricsAggregatorFunctionType GroupOperation ' +
  'SelectOperation CoalesceOperation With']: tags.keyword,
})

const words = (list: string, type: string): Completion[] => list.split(' ').map(label => ({ label, type }))
const logqlWords = [
  ...words(
    'rate count_over_time bytes_over_time bytes_rate sum_over_time avg_over_time max_over_time ' +
      'min_over_time quantile_over_time first_over_time last_over_time absent_over_time stddev_over_time ' +
      'stdvar_over_time rate_counter sum avg min max count topk bottomk sort sort_desc stddev stdvar vector ' +
      'label_replace',
    'function',
  ),
  ...words(
    'json logfmt pattern regexp unpack line_format label_format decolorize drop keep unwrap by without offset',
    'keyword',
  ),
]
const traceqlWords = [
  ...words(
    'rate count_over_time sum_over_time avg_over_time min_over_time max_over_time quantile_over_time ' +
      'histogram_over_time compare topk bottomk count avg min max sum by select coalesce with',
    'function',
  ),
  ...words(
    'name duration status kind statusMessage traceDuration rootName rootServiceName nestedSetParent ' +
      'nestedSetLeft error ok unset server client producer consumer internal true false nil',
    'keyword',
  ),
]

/** Asked once in a while, not for every letter. */
const cache = new Map<string, { at: number; values: Promise<string[]> }>()
function cached(key: string, load: () => Promise<string[]>): Promise<string[]> {
  const there = cache.get(key)
  if (there !== undefined && Date.now() - there.at < 30_000) return there.values
  const values = load().catch(() => {
    // Asked again for the next letter.
    cache.delete(key)
    return []
  })
  cache.set(key, { at: Date.now(), values })
  return values
}
const day = (): { start: string; end: string } => ({
  start: `${Date.now() - 86_400_000}000000`,
  end: `${Date.now()}000000`,
})

async function completeLogql(context: CompletionContext): Promise<CompletionResult | null> {
  const before = context.state.sliceDoc(0, context.pos),
    value = /([A-Za-z_][A-Za-z0-9_]*)\s*(?:=~|!~|!=|=)\s*"([^"]*)$/.exec(before)
  if (value !== null)
    return {
      from: context.pos - value[2]!.length,
      options: (
        await cached(
          `logql ${value[1]!}`,
          async () => (await get<{ data?: string[] }>(`/loki/api/v1/label/${value[1]!}/values`, day())).data ?? [],
        )
      ).map(label => ({ label, type: 'constant', apply: label.replaceAll('\\', '\\\\').replaceAll('"', '\\"') })),
      filter: true,
    }
  const word = context.matchBefore(/[A-Za-z_][A-Za-z0-9_]*/)
  if (/\{[^}]*$/.test(before.replaceAll(/"[^"]*"/g, '')))
    return {
      from: word?.from ?? context.pos,
      options: (
        await cached('logql', async () => (await get<{ data?: string[] }>('/loki/api/v1/labels', day())).data ?? [])
      ).map(label => ({ label, type: 'property' })),
    }
  return word === null && !context.explicit ? null : { from: word?.from ?? context.pos, options: logqlWords }
}

async function completeTraceql(context: CompletionContext): Promise<CompletionResult | null> {
  const before = context.state.sliceDoc(0, context.pos),
    value = /([A-Za-z_.][A-Za-z0-9_.:/-]*)\s*(?:=~|!~|!=|=)\s*"([^"]*)$/.exec(before)
  if (value !== null)
    return {
      from: context.pos - value[2]!.length,
      options: (
        await cached(`traceql ${value[1]!}`, async () =>
          (
            (
              await get<{ tagValues?: { value: string }[] }>(
                `/api/v2/search/tag/${encodeURIComponent(value[1]!)}/values`,
              )
            ).tagValues ?? []
          ).map(v => v.value),
        )
      ).map(label => ({ label, type: 'constant' })),
    }
  const word = context.matchBefore(/[A-Za-z_.][A-Za-z0-9_.:/-]*/)
  if (word === null && !context.explicit) return null
  const names = await cached('traceql', async () =>
    ((await get<{ scopes?: { name: string; tags: string[] }[] }>('/api/v2/search/tags')).scopes ?? []).flatMap(scope =>
      scope.tags.map(tag => (scope.name === 'intrinsic' ? tag : `${scope.name}.${tag}`)),
    ),
  )
  return {
    from: word?.from ?? context.pos,
    options: [...names.map(label => ({ label, type: 'property' })), ...traceqlWords],
  }
}

function languageOf(language: Language): Extension {
  if (language === 'promql')
    return [
      autocompletion(),
      new PromQLExtension().setComplete({ remote: { url: '', httpMethod: 'GET' } }).asExtension(),
    ]
  // A grammar of an older maker of parsers has the same tables.
  const bare = (language === 'logql' ? logqlParser : traceqlParser) as unknown as Parameters<
      typeof LRLanguage.define
    >[0]['parser'],
    parser = bare.configure({ props: [language === 'logql' ? logqlColors : traceqlColors] })
  return [
    new LanguageSupport(LRLanguage.define({ name: language, parser })),
    autocompletion({ override: [language === 'logql' ? completeLogql : completeTraceql] }),
  ]
}

const hints: Readonly<Record<Language, string>> = {
  promql: 'PromQL: sum by (job) (rate(http_requests_total[5m]))',
  logql: 'LogQL: {app="web"} |= "error" | logfmt',
  traceql: 'TraceQL: { resource.service.name = "web" && duration > 1s }',
}

/**
 * What is typed over a selection: a browser would carry colours over to it as inline styles, which the policy
 * forbids.
 */
const typeOver = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { data, inputType } = event as InputEvent,
      { from, to, empty } = view.state.selection.main
    if (inputType !== 'insertText' || data === null || empty) return false
    event.preventDefault()
    const insert = () =>
      view.state.update({
        changes: { from, to, insert: data },
        selection: { anchor: from + data.length },
        userEvent: 'input.type',
        scrollIntoView: true,
      })
    if (!view.state.facet(EditorView.inputHandler).some(handle => handle(view, from, to, data, insert)))
      view.dispatch(insert())
    return true
  },
})

export function mountEditor(
  parent: HTMLElement,
  { language, value, label, onRun, onChange }: MountOptions,
): EditorHandle {
  const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? ''
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: value,
      extensions: [
        EditorView.cspNonce.of(nonce),
        Prec.highest(
          keymap.of([
            {
              key: 'Enter',
              run: v => {
                if (!acceptCompletion(v)) onRun(v.state.doc.toString())
                return true
              },
            },
            {
              key: 'Shift-Enter',
              run: v => {
                v.dispatch(v.state.replaceSelection('\n'))
                return true
              },
            },
          ]),
        ),
        history(),
        keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap]),
        closeBrackets(),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': label }),
        typeOver,
        placeholder(hints[language]),
        languageOf(language),
        syntaxHighlighting(colors),
        look,
        EditorView.updateListener.of(update => {
          if (update.docChanged) onChange(update.state.doc.toString())
        }),
      ],
    }),
  })
  return {
    set(text) {
      if (text !== view.state.doc.toString())
        view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } })
    },
    focus() {
      view.focus()
      view.dispatch({ selection: { anchor: view.state.doc.length } })
    },
    mark(error) {
      // At the end there is nothing to underline: the last character is.
      const { length } = view.state.doc,
        from = Math.min(error?.from ?? 0, Math.max(0, length - 1))
      view.dispatch(
        setDiagnostics(
          view.state,
          error === undefined
            ? []
            : [{ from, to: Math.min(from + 1, length), severity: 'error', message: error.message }],
        ),
      )
    },
    destroy() {
      view.destroy()
    },
  }
}
