//! Conformance of snakepit-supervisor with OTP: the cases OC-01 to OC-80, the extensions SX-01 to SX-12, and a way to
//! trace a tree of one's own.
//!
//! Every case drives real actors in virtual time and asserts on their ordered journal, their identities, the counts,
//! and the supervisor's own exit as a monitor sees it.

mod bed;
mod cases;
mod journal;
mod monitor;
mod probe;
mod score;
mod settle;
pub mod trace;

pub use score::{Case, Outcome, all_cases, check_case, run_case};

/// Calls a macro with the name of every case.
///
/// A name is an id and what is to be seen; each is a function in [`cases`].
#[macro_export]
macro_rules! otp_cases {
    ($call:ident) => {
        $call! {
            oc_01_start_returns_when_all_are_up_in_order,
            oc_02_a_failed_start_is_rolled_back,
            oc_03_a_supervisor_may_decline_to_start,
            oc_04_an_ignored_child_keeps_its_spec_unless_temporary,
            oc_05_equal_ids_are_refused_before_anything_starts,
            oc_06_specs_that_cannot_be_right_are_refused,
            oc_07_defaults_are_those_of_otp,
            oc_08_started_children_are_appended_in_order,
            oc_09_a_running_id_is_already_started,
            oc_10_a_failed_start_child_is_not_kept_and_not_retried,
            oc_11_a_taken_name_is_passed_through,
            oc_12_a_slow_start_blocks_no_question,
            oc_13_a_terminated_child_keeps_its_spec_and_is_not_restarted,
            oc_14_terminating_twice_is_fine,
            oc_15_unknown_ids_are_not_found,
            oc_16_a_restarting_child_is_present_and_restarting,
            oc_17_restart_child_starts_a_stopped_child_in_its_place,
            oc_18_a_failed_restart_child_leaves_it_stopped,
            oc_19_delete_child_forgets_a_stopped_child,
            oc_20_a_temporary_spec_goes_with_its_child,
            oc_21_a_child_added_again_is_the_last,
            oc_22_start_info_is_handed_back_by_calls,
            oc_23_a_permanent_child_is_restarted_whatever_the_reason,
            oc_24_a_transient_child_is_not_restarted_after_a_clean_end,
            oc_25_a_transient_child_is_restarted_after_any_other_end,
            oc_26_a_temporary_child_is_never_restarted,
            oc_27_clean_ends_of_a_permanent_child_count,
            oc_28_ends_without_restart_do_not_count,
            oc_29_intensity_n_allows_n_restarts,
            oc_30_restarts_out_of_the_window_do_not_count,
            oc_31_the_ends_of_the_window_belong_to_it,
            oc_32_failed_restarts_count,
            oc_33_children_share_one_counter,
            oc_34_a_restarted_supervisor_has_only_its_first_children,
            oc_35_a_killed_supervisor_takes_its_children_along,
            oc_36_one_for_one_leaves_siblings_alone,
            oc_37_one_for_all_stops_all_before_the_first_start,
            oc_38_rest_for_one_restarts_the_rest,
            oc_39_rest_for_one_restarts_children_added_later,
            oc_40_a_temporary_bystander_is_stopped_and_forgotten,
            oc_41_a_group_restart_starts_also_what_was_stopped,
            oc_42_a_retry_under_one_for_all_begins_from_the_start,
            oc_43_a_retry_under_rest_for_one_begins_at_the_failed_child,
            oc_44_deaths_in_one_incident_count_once_for_a_group,
            oc_45_a_failing_restart_lets_calls_in_between,
            oc_46_a_stop_ends_a_restart_loop,
            oc_47_terminate_child_ends_a_restart_loop,
            oc_48_a_terminated_child_is_not_resurrected_by_its_own_death,
            oc_49_ignore_at_a_restart_leaves_a_stopped_child,
            oc_50_children_are_stopped_one_after_the_other_in_reverse,
            oc_51_a_child_that_does_not_stop_in_time_is_killed,
            oc_52_brutal_kill_kills_at_once,
            oc_53_infinity_waits,
            oc_54_stop_returns_when_all_is_gone,
            oc_55_a_child_that_unlinked_itself_is_stopped_all_the_same,
            oc_56_ends_during_a_stop_are_no_trouble,
            oc_57_a_dynamic_supervisor_stops_all_at_once,
            oc_58_a_dynamic_stop_takes_every_kind_of_end,
            oc_59_any_significant_ends_with_a_clean_transient_child,
            oc_60_any_significant_ends_with_any_temporary_child,
            oc_61_insignificant_children_never_end_their_supervisor,
            oc_62_all_significant_ends_with_the_last,
            oc_63_stops_by_strategy_never_end_a_supervisor,
            oc_64_an_automatic_shutdown_moves_up_only_through_significant_children,
            oc_65_dynamic_children_are_restarted_or_removed,
            oc_66_dynamic_start_child_returns_what_happened,
            oc_67_dynamic_terminate_child_is_graceful_and_final,
            oc_68_a_dynamic_child_in_a_restart_loop_is_restarting,
            oc_69_dynamic_children_share_one_counter,
            oc_70_ignore_at_a_dynamic_restart_removes_the_child,
            oc_71_max_children_counts_restarting_children_once,
            oc_72_extra_arguments_are_seen_once_by_every_start,
            oc_73_arguments_of_a_temporary_child_are_dropped,
            oc_74_equal_ids_run_side_by_side_when_dynamic,
            oc_75_the_cost_of_many_children_grows_linearly,
            oc_76_children_are_counted_by_what_they_are,
            oc_77_children_are_listed_as_they_live,
            oc_78_trouble_is_reported_in_order,
            oc_79_ordinary_life_gives_no_warning,
            oc_80_strangers_and_former_lives_change_nothing,
            sx_01_crash_loops_under_starters_leave_the_others_alone,
            sx_02_a_starter_is_never_empty,
            sx_03_a_slow_crash_loop_ends,
            sx_04_the_delays_are_exact_and_can_be_interrupted,
            sx_05_a_stable_time_resets_the_delay,
            sx_06_groups_in_delay_merge,
            sx_07_a_child_that_blocks_its_thread_holds_up_nobody,
            sx_08_a_start_that_never_returns_is_given_up,
            sx_09_a_killed_supervisor_leaves_no_process,
            sx_10_a_new_subtree_waits_for_the_end_of_the_old,
            sx_11_a_fatal_exit_is_not_retried,
            sx_12_the_same_script_makes_the_same_run,
        }
    };
}
