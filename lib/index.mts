import authPlugin from './index.js'

export default authPlugin
export const { authenticate, MemoryStore, RedisStore } = authPlugin
// A class is a value and a type, and only the value comes through the const.
/* eslint-disable @typescript-eslint/no-redeclare */
export type MemoryStore = InstanceType<typeof authPlugin.MemoryStore>
export type RedisStore = InstanceType<typeof authPlugin.RedisStore>
/* eslint-enable @typescript-eslint/no-redeclare */
export type * from './public.js'
