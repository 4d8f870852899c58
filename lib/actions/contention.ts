import { StoreUnavailableError, refuse, type Refusal } from '../errors'

/** How often a change is begun again that another change of the same session has overtaken. */
export const attempts = 10

/** Returns the error for who was overtaken each time. */
export const overtaken = (): Refusal =>
  refuse(StoreUnavailableError, `the session was changed ${attempts} times meanwhile`, {
    'retry-after': '1'
  })
