// A doubly linked list whose links live in the elements: nothing to allocate, so it may be used
// while a lock is held and on a green thread's own stack.
#pragma once

namespace tendril::rt {

struct ListLink {
  ListLink* next = nullptr;
  ListLink* previous = nullptr;
  bool linked() const noexcept { return next != nullptr; }
};

// T derives from ListLink. Not thread-safe: the owner's lock guards it. A new one is nothing but
// zeros: a table of thousands of them takes no memory before they are used.
template <typename T>
class IntrusiveList {
 public:
  IntrusiveList() = default;
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  bool empty() const noexcept { return head_.next == nullptr || head_.next == &head_; }
  T* front() noexcept { return empty() ? nullptr : static_cast<T*>(head_.next); }

  // The element after this one, null at the end.
  T* after(T* element) noexcept {
    ListLink* next = static_cast<ListLink*>(element)->next;
    return next == &head_ ? nullptr : static_cast<T*>(next);
  }

  void push_back(T* element) noexcept {
    begin();
    ListLink* link = element;
    link->next = &head_;
    link->previous = head_.previous;
    head_.previous->next = link;
    head_.previous = link;
  }

  void push_front(T* element) noexcept {
    begin();
    ListLink* link = element;
    link->previous = &head_;
    link->next = head_.next;
    head_.next->previous = link;
    head_.next = link;
  }

  T* pop_front() noexcept {
    T* element = front();
    if (element != nullptr) remove(element);
    return element;
  }

  static void remove(T* element) noexcept {
    ListLink* link = element;
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link->next = link->previous = nullptr;
  }

  void reset() noexcept { head_.next = head_.previous = nullptr; }

 private:
  void begin() noexcept {
    if (head_.next == nullptr) head_.next = head_.previous = &head_;
  }

  ListLink head_;
};

}  // namespace tendril::rt
