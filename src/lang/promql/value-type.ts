/** What an expression gives: the types of PromQL. */
export type ValueType = 'scalar' | 'vector' | 'matrix' | 'string'
