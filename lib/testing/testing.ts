// The door of `fastify-jwt-sessions/testing`, for tests of applications and of stores.
export { loginAs } from './login-as'
export type { TestedInstance, TestLogin } from './login-as'
export { storeContract } from './store-contract'
export type { Subject, Test } from './store-contract'
