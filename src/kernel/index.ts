/**
 * kernel: the words that every room shares: clock, randomness, branded ids, bytes, coded errors,
 * and the names that two sides must spell alike.
 * It knows nothing of SSH, directories, storage or HTTP, and imports nothing of ours.
 */
export * from './address.ts';
export * from './brand.ts';
export * from './bytes.ts';
export * from './clock.ts';
export * from './errors.ts';
export * from './ids.ts';
export * from './names.ts';
export * from './random.ts';
