// Reports of exceptions that nobody gets, and what the reports call a fiber.
#pragma once

#include <exception>
#include <string>

#include "tendril/detail/task.hpp"

namespace tendril::detail {

// One message on stderr: what happened, which fiber, where it was spawned.
void report_exception(const std::exception_ptr& exception, const char* what,
                      const Task& task) noexcept;

void report_loose_exception(const std::exception_ptr& exception, const char* what) noexcept;

// "NAME" or "fiber 12", and where it was spawned: for messages.
std::string describe_task(const Task& task);

void give_back_ident(Task& task) noexcept;

}  // namespace tendril::detail
