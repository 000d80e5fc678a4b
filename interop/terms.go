package interop

// builtinTerms says what must be told before the first message (docs/protocol.md#consent).
const builtinTerms = `{provider} can connect you with people on {network}, as a third-party chat. Please read what that means before you agree.

Who you talk to. A third-party chat is a chat with someone on another service. They must have turned on third-party chats in {network}, and they see your Matrix name and identifier. Names and pictures are not verified by anybody, neither theirs nor yours.

Encryption. {network} may use a different kind of encryption and different security than Matrix. Messages are encrypted between {network} and this server's bridge, and the bridge decrypts them to pass them on. Whoever runs this server could read them. The way as a whole is not encrypted from you to the other person.

Data. {network} has its own data policy. To make you reachable, the bridge gives {network} your identifier, your display name, your country and your public keys, and later your messages and when you sent, received and read them.

Spam. Spam and fraud may be more frequent in third-party chats. Be careful with people you do not know.

What is missing. Disappearing messages and status do not exist here. On WhatsApp there are no stickers either, and what was sent cannot be edited or deleted on the other side. You have one device on {network}, which is the bridge. History starts with the first message; nothing older is copied.

Where. Third-party chats are available only to people in the European Economic Area, and only with people who have a number of that region. You will be asked for your country, and must say so if you move away.

Leaving. You may stop at any time by logging out. That ends the chats in both directions; what was written stays readable in your rooms. The record of your consent is kept for as long as the law and the agreement with {network} ask for it.`

// proxyTerms follow the built-in terms in [ModeProxy].
const proxyTerms = `

Connection. The bridge is connected to {network} only while you are active in Matrix, and tells {network} the internet address of your client, which you let the bridge see on a page of this server. Messages are not stored on the way: one that is under way while the bridge stops can be lost, and then your room says so.`
