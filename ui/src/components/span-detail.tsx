import { duration, secondsOfNs, visible } from '../format.ts'
import { LogsLink, logQueriesOf, logQueriesOfTrace } from './logs-link.tsx'
import { linkTo } from '../router.ts'
import type { SpanRow, TraceTree } from '../trace-tree.ts'

interface SpanDetailProps {
  span: SpanRow
  tree: TraceTree
  traceId: string
  onClose: () => void
}

export function SpanDetail({ span, tree, traceId, onClose }: SpanDetailProps) {
  return (
    <section class="panel" aria-label="Span">
      <div class="row">
        <h2 class="grow">
          <bdi>
            {span.service}: {span.name}
          </bdi>
        </h2>
        <button onClick={onClose}>Close</button>
      </div>
      <p>
        <span class="badge">{duration(secondsOfNs(span.endNs - span.startNs))}</span>{' '}
        <span class="badge">{span.kind || 'unspecified'}</span>{' '}
        {span.isError ? (
          <span class="badge bad">error{span.statusMessage === '' ? '' : `: ${span.statusMessage}`}</span>
        ) : null}{' '}
        <span class="dim">
          +{duration(secondsOfNs(span.startNs - tree.startNs))} after the beginning, {span.children.length} children
        </span>
      </p>
      <SpanLinks span={span} traceId={traceId} />
      <h3>Attributes</h3>
      <dl>
        <Attributes of={span.attributes} />
      </dl>
      <h3>Resource</h3>
      <dl>
        <Attributes of={span.resource} />
        {span.scope !== '' && (
          <>
            <dt>scope</dt>
            <dd>{span.scope}</dd>
          </>
        )}
        <dt>span id</dt>
        <dd class="mono">{span.id}</dd>
      </dl>
      {span.events.length > 0 && <Events span={span} />}
      {span.links.length > 0 && <LinkedTraces span={span} />}
    </section>
  )
}

function Attributes({ of }: { of: Record<string, string> }) {
  return (
    <>
      {Object.entries(of).map(([name, value]) => (
        <>
          <dt>{visible(name)}</dt>
          <dd>{visible(value)}</dd>
        </>
      ))}
    </>
  )
}

/** Where to go from a span: its logs, and the rate, errors and duration of its service around it. */
function SpanLinks({ span, traceId }: { span: SpanRow; traceId: string }) {
  const at = Math.ceil(Number(span.startNs / 1_000_000n) / 1000),
    service = JSON.stringify(span.service),
    calls = `traces_spanmetrics_calls_total{service=${service}`,
    errors = `sum(rate(${calls}, status_code="STATUS_CODE_ERROR"}[5m])) / sum(rate(${calls}}[5m]))`,
    rate = `sum by (span_name) (rate(${calls}}[5m]))`,
    latency = `sum by (le) (rate(traces_spanmetrics_latency_bucket{service=${service}}[5m]))`
  const metrics = (q: string): string => linkTo('/ui/metrics', { q, range: '1h', end: String(at + 1800) })
  return (
    <p>
      <LogsLink queries={logQueriesOfTrace(span.service, traceId)} minutes={15} end={at + 600}>
        Its logs
      </LogsLink>{' '}
      ·{' '}
      <LogsLink queries={logQueriesOf({ service_name: span.service })} minutes={5} end={at + 120}>
        all logs of the service then
      </LogsLink>{' '}
      · <a href={metrics(rate)}>rate</a> · <a href={metrics(errors)}>errors</a> ·{' '}
      <a href={metrics(`histogram_quantile(0.95, ${latency})`)}>duration</a> of the service
    </p>
  )
}

function Events({ span }: { span: SpanRow }) {
  return (
    <>
      <h3>Events</h3>
      {span.events.map((e, i) => (
        <details key={i}>
          <summary>
            +{duration(secondsOfNs(e.timeNs - span.startNs))} <bdi>{e.name}</bdi>
          </summary>
          <dl>
            <Attributes of={e.attributes} />
          </dl>
        </details>
      ))}
    </>
  )
}

function LinkedTraces({ span }: { span: SpanRow }) {
  return (
    <>
      <h3>Links</h3>
      <ul>
        {span.links.map((l, i) => (
          <li key={i}>
            <a class="mono" href={linkTo(`/ui/trace/${l.traceId}`, { span: l.spanId })}>
              {l.traceId}
            </a>
          </li>
        ))}
      </ul>
    </>
  )
}
