/**
 * doors/ibmi: what whoever looks after the certificates of an IBM i works with: the folder of a plan (bundle, runbook, restarts), the
 * renewals that are due, and what clients need in order to trust.
 * It sends nothing to an IBM i and restarts nothing: it writes what people and their tools do, and says of each fact how it is known.
 * Never tried on a real IBM i. Specification: docs/operations/ibmi.md.
 */
export { encodeCalendar, type CalendarEvent } from './calendar.ts';
export { nextLabel, parseLabel } from './labels.ts';
export { chooseSlot, leadDays, parseWindow, type Slot, type WeeklyWindow } from './maintenance-window.ts';
export { checkPlanNames, makePlan, type PlanFile } from './plan.ts';
export { pemOf, type Delivery, type PlanInput } from './plan-input.ts';
export { parseProbeReport } from './read-report.ts';
export { calendarEvents, planRenewals, type Renewal, type ServedCertificate } from './renewals.ts';
export { makeTrustPack } from './trust.ts';
export { clientAdvice, trustClients, type TrustClient } from './trust-clients.ts';
