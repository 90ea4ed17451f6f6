/** What is set up for the demo beside its telemetry: rules, an Alertmanager without receivers, and where to look. */

export const firingAlert = 'ChargesFail'
export const quietAlert = 'NoOrders'

const charges = 'http_server_request_duration_seconds_count{job="payment", http_route="/charge"'

/** More than this part of charges fails, for a minute: then the alert fires. */
export const errorRatio = `sum(rate(${charges}, http_response_status_code=~"5.."}[2m])) / sum(rate(${charges}}[2m]))`
export const errorRatioMax = 0.05

export const rulesText = `groups:
  - name: shop
    interval: 15s
    rules:
      - record: job_route:http_requests:rate2m
        expr: sum by (job, http_route) (rate(http_server_request_duration_seconds_count[2m]))
      - record: job_route:http_request_duration_seconds:p95_2m
        expr: >-
          histogram_quantile(0.95,
            sum by (job, http_route, le) (rate(http_server_request_duration_seconds_bucket[2m])))
      - alert: ${firingAlert}
        expr: ${errorRatio} > ${errorRatioMax}
        for: 1m
        labels: { severity: page, service: payment }
        annotations:
          summary: '{{ $value | humanizePercentage }} of charges fail'
          description: Look at which version of payment answers, and roll it back.
      - alert: ${quietAlert}
        expr: sum(rate(shop_orders_total[5m])) == 0
        for: 5m
        labels: { severity: page, service: shop }
        annotations: { summary: Nobody has ordered anything for ten minutes }
`

/** Alerts are grouped and shown, and nobody is told. */
export const alertmanagerText = `route:
  receiver: nobody
  group_by: [alertname, service]
  group_wait: 10s
receivers:
  - name: nobody
`

export interface DemoQuery {
  language: 'PromQL' | 'LogQL' | 'TraceQL'
  text: string
  /** What it shows. */
  shows: string
}

export const queries: readonly DemoQuery[] = [
  {
    language: 'PromQL',
    text:
      'sum by (service_version) (rate(http_server_request_duration_seconds_count{job="payment"}[2m]) ' +
      '* on (job, instance) group_left (service_version) target_info)',
    shows: 'charges a second by version of payment: the deploy and the rollback',
  },
  {
    language: 'PromQL',
    text:
      'histogram_quantile(0.95, sum by (http_route, le) ' +
      '(rate(http_server_request_duration_seconds_bucket{job="shop"}[2m])))',
    shows: 'how long people wait, by page: /checkout rises with the deploy',
  },
  {
    language: 'LogQL',
    text: '{service_name="payment"} | detected_level="error"',
    shows: 'the errors; the trace_id of a line leads to its trace',
  },
  {
    language: 'LogQL',
    text: '{app="deployer"} | logfmt',
    shows: 'the deploys and rollbacks themselves',
  },
  {
    language: 'LogQL',
    text: 'sum by (path) (count_over_time({app="edge"} | json | status >= 500 [1m]))',
    shows: 'failed pages a minute, from the JSON lines of the edge',
  },
  {
    language: 'TraceQL',
    text: '{ resource.service.name = "payment" && status = error && span.http.route = "/charge" }',
    shows: 'traces of failed charges: the bank did not answer',
  },
]
