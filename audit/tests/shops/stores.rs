//! Every store's way of writing an order is one, and its way of writing a note is none that costs money.

use crate::tree::Shop;

/// Imports and the statement.
const WRITES: &[(&str, &str)] = &[
    (
        "import { drizzle } from 'drizzle-orm/libsql'\nimport { orders } from './schema'\nconst db = drizzle('')",
        "await db.insert(orders).values({ total: 1 }).returning()",
    ),
    (
        "import { drizzle } from 'drizzle-orm/libsql'\nimport { orders } from './schema'\nconst db = drizzle('')",
        "await db.transaction(async (tx) => { await tx.insert(orders).values(body) })",
    ),
    (
        "import { Kysely } from 'kysely'\nconst db = new Kysely({})",
        "await db.insertInto('orders').values({ total: 1 }).executeTakeFirst()",
    ),
    ("import setUp from 'knex'\nconst knex = setUp({})", "await knex('orders').insert({ total: 1 })"),
    (
        "import { createClient } from '@supabase/supabase-js'\nconst supabase = createClient('', '')",
        "await supabase.from('orders').insert([{ total: 1 }]).select().single()",
    ),
    (
        "import { createClient } from '@supabase/supabase-js'\nconst supabase = createClient('', '')",
        "await supabase.rpc('create_order', { total: 1 })",
    ),
    (
        "import { addDoc, collection, getFirestore } from 'firebase/firestore'\nconst db = getFirestore()",
        "await addDoc(collection(db, 'orders'), { total: 1 })",
    ),
    (
        "import { getFirestore } from 'firebase-admin/firestore'\nconst db = getFirestore()",
        "await db.collection('orders').doc().set({ total: 1 })",
    ),
    (
        "import { getFirestore } from 'firebase-admin/firestore'\nconst db = getFirestore()",
        "const batch = db.batch()\n  batch.set(db.collection('orders').doc(), { total: 1 })\n  await batch.commit()",
    ),
    (
        "import { getDatabase, push, ref } from 'firebase/database'\nconst db = getDatabase()",
        "await push(ref(db, 'orders'), { total: 1 })",
    ),
    (
        "import { MongoClient } from 'mongodb'\nconst client = new MongoClient('')",
        "await client.db('shop').collection('orders').insertOne({ total: 1 })",
    ),
    (
        "import { PutCommand } from '@aws-sdk/lib-dynamodb'\nimport { client } from './client'",
        "await client.send(new PutCommand({ TableName: 'orders', Item: { total: 1 } }))",
    ),
    (
        "import { Sequelize } from 'sequelize'\nconst Order = new Sequelize('').define('Order', {})",
        "await Order.create({ total: 1 })",
    ),
    ("import { manager } from './manager'\nclass Order { total = 1 }", "await manager.save(new Order())"),
    ("import { Model } from 'objection'\nclass Order extends Model {}", "await Order.query().insert({ total: 1 })"),
    (
        "import { prisma } from '@/lib/db'",
        "await prisma.user.update({ where: { id: 1 }, data: { orders: { create: { total: 1 } } } })",
    ),
    (
        "import { Client, Databases, ID } from 'node-appwrite'\nconst databases = new Databases(new Client())",
        "await databases.createDocument('shop', 'orders', ID.unique(), { total: 1 })",
    ),
    (
        "import mysql from 'mysql2/promise'\nconst pool = mysql.createPool({})",
        "await pool.execute('INSERT INTO orders (total) VALUES (?)', [1])",
    ),
];

fn high(imports: &str, statement: &str) -> Vec<String> {
    let route = format!(
        "{imports}\nexport async function POST(req: Request) {{\n  const body = await req.json()\n  {statement}\n  return Response.json({{ data: body.id }})\n}}\n"
    );
    let said = Shop::with(&[("app/api/place/route.ts", &route)]).said();
    said.into_iter().filter(|said| said.starts_with("high")).collect()
}

#[test]
fn an_order_that_is_written_twice_is_high_whatever_writes_it() {
    for (imports, statement) in WRITES {
        assert_eq!(high(imports, statement), ["high key-missing POST /api/place"], "{statement}");
    }
}

#[test]
fn another_thing_that_is_written_twice_is_not() {
    let other = |text: &str| text.replace("order", "note").replace("Order", "Note");
    for (imports, statement) in WRITES {
        assert_eq!(high(&other(imports), &other(statement)), [""; 0], "{statement}");
    }
}

#[test]
fn a_statement_in_a_comment_or_a_text_writes_nothing() {
    for (imports, statement) in WRITES {
        let comment = format!("// {}", statement.replace('\n', "\n//"));
        assert_eq!(high(imports, &comment), [""; 0], "{statement}");
        assert_eq!(high(imports, &format!("console.log({statement:?})")), [""; 0], "{statement}");
    }
}
