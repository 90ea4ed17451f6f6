/** Questions of the four query languages, made by chance: about what a constraint shows, and about what it hides. */

export type Pick = <T>(list: readonly T[]) => T

interface Question {
  text: string
  /** It joins spans by their places in the trace, which are others where spans are not there. */
  isStructural?: boolean
}

const labelMatchers = [
  'team="a"',
  'team="hidden-b"',
  'team!="a"',
  'team=~".+"',
  'team=~"a|hidden-b"',
  'team!~"hidden.*"',
  'team=""',
  'env="prod"',
  'env!="prod"',
  'env=~"dev|hidden-env"',
]

function matchersOf(pick: Pick): string {
  return pick([[], [0], [0, 0], [0, 0, 0]])
    .map(() => pick(labelMatchers))
    .join(',')
}

export function promqlQuery(pick: Pick): Question {
  return { text: promql(pick, 2) }
}

function promql(pick: Pick, depth: number): string {
  const metric = pick(['up', 'requests_total', 'temperature', 'hidden_metric', ''])
  const matchers = metric === '' ? ['env=~".+"', matchersOf(pick)].filter(Boolean).join(',') : matchersOf(pick)
  const selector = `${metric}{${matchers}}`
  if (depth === 0) return selector
  const inner = (): string => promql(pick, depth - 1)
  const labels = pick(['team', 'env', 'team, env', 'instance', '__name__'])
  return pick<() => string>([
    () => selector,
    () => `rate(requests_total{${matchersOf(pick)}}[${pick(['2m', '5m'])}])`,
    () => `${pick(['avg', 'max', 'sum', 'count', 'last', 'stddev'])}_over_time(${selector}[3m])`,
    () => `${pick(['sum', 'count', 'max', 'avg', 'group'])} ${pick(['by', 'without'])} (${labels}) (${inner()})`,
    () => `${pick(['sum', 'count', 'min'])}(${inner()})`,
    () => `${pick(['topk', 'bottomk', 'limitk'])}(2, ${inner()})`,
    () => `count_values("value", ${inner()})`,
    () => `${inner()} ${pick(['or', 'and', 'unless'])} ${inner()}`,
    () => `${selector} ${pick(['+', '>', '== bool', '/'])} on (env, team, instance) group_left ${selector}`,
    () => `absent(${selector})`,
    () => `absent_over_time(${selector}[2m])`,
    () => `label_replace(${inner()}, "copy", "$1", "${pick(['team', 'env'])}", "(.*)")`,
    () => `label_join(${inner()}, "copy", "-", "team", "env")`,
    () => `max_over_time(${selector}[4m:1m])`,
    () => `${selector} offset 2m`,
    () => `sort_by_label(${inner()}, "team")`,
    () => `scalar(count(${inner()}))`,
    () => `quantile(0.5, ${inner()})`,
  ])()
}

export function logqlQuery(pick: Pick): Question {
  const selector = `{${['env=~".+"', matchersOf(pick)].filter(Boolean).join(', ')}}`
  const stages = pick([[], [0], [0, 0]])
    .map(() =>
      pick([
        '|= "user"',
        '|= "hidden"',
        '!= "hidden"',
        '|~ "took [0-9]+ms"',
        '| json',
        '| logfmt',
        '| json | who=~"user.*"',
        '| json | n > 6',
        '| line_format "{{.team}} {{.env}}"',
        '| label_format copy=team',
        '| pod=~"pod-.*"',
        '| drop pod',
        '| decolorize',
      ]),
    )
    .join(' ')
  const lines = `${selector} ${stages}`
  const grouped = pick(['team', 'env', 'team, env', 'pod'])
  return {
    text: pick([
      lines,
      lines,
      lines,
      `sum by (${grouped}) (count_over_time(${lines} [2m]))`,
      `rate(${lines} [1m])`,
      `topk(2, sum by (${grouped}) (bytes_over_time(${lines} [2m])))`,
      `avg_over_time(${selector} | logfmt | unwrap n [3m]) by (team)`,
      `absent_over_time(${selector} [2m])`,
      `count(sum by (team) (rate(${lines} [2m]))) `,
      `sum(count_over_time(${lines} [1m])) or sum(rate(${selector} [1m]))`,
    ]),
  }
}

export function logsqlQuery(pick: Pick): Question {
  const filter = (): string =>
    pick([
      '*',
      'user1',
      '"slow answer"',
      'hidden*',
      'team:a',
      'team:="hidden-b"',
      'NOT team:a',
      'team:*',
      '{team="hidden-b"}',
      '{team=~".+"}',
      '{env="prod"}',
      'env:prod OR env:hidden-env',
      'pod:~"pod-.*"',
      '_msg:~"n.?[0-9]+"',
      'team:in(a, hidden-b)',
      'team:in(* | fields team)',
      'pod:in({team="hidden-b"} | fields pod)',
    ])
  const pipes = pick([[], [0], [0, 0]])
    .map(() =>
      pick([
        '| fields _msg, team',
        '| stats by (team) count() n',
        '| stats count() n, count_uniq(team) teams',
        '| uniq by (team, env)',
        '| top 5 by (team)',
        '| sort by (_time) | limit 5',
        '| field_names',
        '| field_values team',
        '| facets',
        '| unpack_json | fields who, n',
        '| extract "user<n>"',
        '| stats by (env) uniq_values(team) teams',
        '| blocks_count',
        '| first 3 by (_time)',
      ]),
    )
    .join(' ')
  const union = pick(['', '', '', ` | union ({team="hidden-b"})`])
  return { text: `${filter()} ${pick(['', filter()])} ${pipes}${union}` }
}

export function traceqlQuery(pick: Pick): Question {
  const filter = (): string =>
    `{ ${pick([
      '',
      'resource.team = "a"',
      'resource.team = "hidden-b"',
      'resource.team != "a"',
      '.team =~ ".*"',
      'name = "SELECT"',
      'name =~ "hidden.*"',
      'resource.service.name =~ ".*shop"',
      'rootServiceName =~ ".*"',
      'rootName = "hidden root"',
      'status = error',
      'kind = server || span.who = "user1"',
      'duration > 30ms',
      'traceDuration > 25ms',
      'instrumentation:name != "lib"',
      'span.who != nil',
    ])} }`
  const structural = pick([false, false, false, false, true])
  if (structural)
    return { text: `${filter()} ${pick(['>', '>>', '<', '<<', '~', '!>', '&>>'])} ${filter()}`, isStructural: true }
  return {
    text: pick([
      filter(),
      filter(),
      `${filter()} && ${filter()}`,
      `${filter()} || ${filter()}`,
      `${filter()} | count() > 1`,
      `${filter()} | by(resource.team)`,
      `${filter()} | by(resource.service.name) | count() > 1`,
      `${filter()} | select(resource.team, span.who, rootName)`,
      `${filter()} | avg(duration) > 10ms`,
      `${filter()} | rate() by (resource.team)`,
      `${filter()} | count_over_time() by (name)`,
      `${filter()} | quantile_over_time(duration, 0.5) by (rootServiceName)`,
      `${filter()} | min_over_time(duration)`,
      `${filter()} | compare({status = error})`,
    ]),
  }
}
