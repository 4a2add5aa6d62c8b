/** Every serial that left a broker, of users and hosts alike, as a table in SQL: `ca_id`, `serial`. */
export const releasedSerials =
  '(SELECT ca_id, serial FROM credential UNION ALL SELECT ca_id, serial FROM host_certificate)';
