/** The three things that are stored. */
export const signals = ['metrics', 'logs', 'traces'] as const
export type SignalName = (typeof signals)[number]
