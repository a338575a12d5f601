// System calls that are not made with arbitrary arguments, and why.
#ifndef TENDRIL_TESTS_FUZZ_EXCLUDED_CALLS_H_
#define TENDRIL_TESTS_FUZZ_EXCLUDED_CALLS_H_

#include <stddef.h>
#include <sys/syscall.h>

struct excluded {
  const char* why;
  int numbers[48];  // ends with -1
};

// In any process.
static const struct excluded kNowhere[] = {
    {"reaches other processes, or all of them",
     {SYS_kill,
      SYS_tkill,
      SYS_tgkill,
      SYS_rt_sigqueueinfo,
      SYS_rt_tgsigqueueinfo,
      SYS_pidfd_send_signal,
      SYS_ptrace,
      SYS_setpriority,
      SYS_ioprio_set,
      SYS_sched_setparam,
      SYS_sched_setscheduler,
      SYS_sched_setattr,
      SYS_sched_setaffinity,
      SYS_prlimit64,
      SYS_migrate_pages,
      SYS_move_pages,
      SYS_process_vm_writev,
      SYS_process_madvise,
      SYS_process_mrelease,
      SYS_vhangup,
      -1}},
    {"changes the machine",
     {SYS_reboot,
      SYS_kexec_load,
      SYS_kexec_file_load,
      SYS_init_module,
      SYS_finit_module,
      SYS_delete_module,
      SYS_mount,
      SYS_umount2,
      SYS_pivot_root,
      SYS_swapon,
      SYS_swapoff,
      SYS_acct,
      SYS_settimeofday,
      SYS_clock_settime,
      SYS_clock_adjtime,
      SYS_adjtimex,
      SYS_sethostname,
      SYS_setdomainname,
      SYS_quotactl,
      SYS_quotactl_fd,
      SYS_syslog,
      SYS_iopl,
      SYS_ioperm,
      SYS_bpf,
      SYS_add_key,
      SYS_request_key,
      SYS_keyctl,
      SYS_move_mount,
      SYS_open_tree,
      SYS_fsopen,
      SYS_fsconfig,
      SYS_fsmount,
      SYS_fspick,
      SYS_mount_setattr,
      SYS_fanotify_init,
      SYS_fanotify_mark,
      SYS_sync,
      SYS_syncfs,
      SYS_fallocate,
      SYS_nfsservctl,
      -1}},
    {"objects of System V belong to the whole system",
     {SYS_shmget, SYS_shmat, SYS_shmctl, SYS_shmdt, SYS_semget, SYS_semop, SYS_semctl,
      SYS_semtimedop, SYS_msgget, SYS_msgsnd, SYS_msgrcv, SYS_msgctl, -1}},
    {"takes away what the tester stands on",
     {SYS_mmap,
      SYS_munmap,
      SYS_mremap,
      SYS_mprotect,
      SYS_pkey_mprotect,
      SYS_brk,
      SYS_madvise,
      SYS_remap_file_pages,
      SYS_arch_prctl,
      SYS_modify_ldt,
      SYS_rt_sigreturn,
      SYS_exit,
      SYS_exit_group,
      SYS_fork,
      SYS_vfork,
      SYS_clone,
      SYS_clone3,
      SYS_mlockall,
      335 /* uretprobe */,
      453 /* map_shadow_stack */,
      462 /* mseal */,
      -1}},
    {"may wait, which the differential tester looks at",
     {SYS_pause, SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_poll, SYS_ppoll, SYS_select,
      SYS_pselect6, SYS_futex, SYS_futex_waitv, 454 /* futex_wake */, 455 /* futex_wait */,
      456 /* futex_requeue */, -1}},
    {"differs, as docs/limits.md says",
     {SYS_prctl, SYS_seccomp, SYS_rseq, SYS_unshare, SYS_setns, SYS_restart_syscall, -1}},
    {"of the machine's state rather than of its arguments",
     {SYS_perf_event_open, SYS_userfaultfd, SYS_membarrier, SYS_io_uring_setup, SYS_io_setup,
      SYS_memfd_secret, SYS_inotify_init, SYS_inotify_init1, -1}},
};

// By threads of one process that is to go on.
static const struct excluded kInStorm[] = {
    {"changes the process",
     {SYS_close,
      SYS_close_range,
      SYS_dup2,
      SYS_dup3,
      SYS_setrlimit,
      SYS_setuid,
      SYS_setgid,
      SYS_setreuid,
      SYS_setregid,
      SYS_setresuid,
      SYS_setresgid,
      SYS_setgroups,
      SYS_setfsuid,
      SYS_setfsgid,
      SYS_capset,
      SYS_personality,
      SYS_setsid,
      SYS_setpgid,
      SYS_landlock_restrict_self,
      SYS_execve,
      SYS_execveat,
      SYS_chroot,
      SYS_chdir,
      SYS_fchdir,
      SYS_alarm,
      SYS_setitimer,
      SYS_timer_create,
      SYS_timer_settime,
      SYS_timer_delete,
      SYS_rt_sigaction,
      SYS_rt_sigprocmask,
      SYS_sigaltstack,
      SYS_set_tid_address,
      SYS_set_robust_list,
      SYS_munlockall,
      SYS_umask,
      -1}},
};

static inline const char* find_excluded(const struct excluded* table, size_t size, long number) {
  for (size_t i = 0; i < size; ++i) {
    for (const int* at = table[i].numbers; *at >= 0; ++at) {
      if (*at == number) return table[i].why;
    }
  }
  return NULL;
}

static inline const char* why_excluded(long number, int in_storm) {
  const char* why = find_excluded(kNowhere, sizeof kNowhere / sizeof *kNowhere, number);
  if (why == NULL && in_storm) {
    why = find_excluded(kInStorm, sizeof kInStorm / sizeof *kInStorm, number);
  }
  return why;
}

#endif  // TENDRIL_TESTS_FUZZ_EXCLUDED_CALLS_H_
